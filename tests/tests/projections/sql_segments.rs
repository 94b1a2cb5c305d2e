//! SQL projections of several segments: what they write at the same time is each event's effect once, also in a row that all of them
//! write.

use std::time::Duration;

use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::StartError;
use es_runtime::prelude::*;
use es_runtime::projection::Project;
use es_runtime::store::ProjectionStore;
use es_sqlite::{SqliteStore, SqliteTransaction};
use es_tests::bank::{Account, Deposit, Deposited, Opened, Withdraw, Withdrawn, account_with};
use es_tests::stores;
use es_tests::totals::{self, Totals};

mod postgres {
    use super::*;

    #[projection(name = "sums", segments = 4, schema = "schemas_segments/postgres.sql")]
    pub(super) struct Sums;

    #[projection]
    impl Sums {
        #[apply]
        async fn opened(tx: &mut PgTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
            add(tx, meta, 0).await
        }

        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
            add(tx, meta, event.amount).await
        }

        #[apply]
        async fn withdrawn(tx: &mut PgTransaction<'_>, event: Withdrawn, meta: &Meta<Account>) -> Result<()> {
            add(tx, meta, -event.amount).await
        }
    }

    async fn add(tx: &mut PgTransaction<'_>, meta: &Meta<Account>, cents: i64) -> Result<()> {
        let of_account = "INSERT INTO totals AS t VALUES ($1, $2, 1)
            ON CONFLICT (account) DO UPDATE SET cents = t.cents + $2, events = t.events + 1";
        tx.execute(of_account, &[&meta.id().to_string(), &cents]).await?;
        let of_all = "INSERT INTO sums AS s VALUES ('all', $1, 1)
            ON CONFLICT (name) DO UPDATE SET cents = s.cents + $1, events = s.events + 1";
        tx.execute(of_all, &[&cents]).await?;
        Ok(())
    }

    pub(super) async fn dump(store: &PostgresStore) -> (Totals, (i64, i64)) {
        let sql = "SELECT account, cents, events FROM es_sums_v1.totals ORDER BY account COLLATE \"C\"";
        let rows = store.query(sql, &[]).await.unwrap();
        let totals = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let sums = store
            .query("SELECT cents, events FROM es_sums_v1.sums", &[])
            .await
            .unwrap();
        (totals, (sums[0].get(0), sums[0].get(1)))
    }

    /// The same in another number of segments.
    pub(super) mod halves {
        use super::*;

        #[projection(name = "sums", segments = 2, schema = "schemas_segments/postgres.sql")]
        pub(in super::super) struct Sums;

        #[projection]
        impl Sums {
            #[apply]
            async fn opened(_: &mut PgTransaction<'_>, _: Opened) -> Result<()> {
                Ok(())
            }
        }
    }
}

mod sqlite {
    use super::*;

    #[projection(name = "sums", segments = 4, schema = "schemas_segments/sqlite.sql")]
    pub(super) struct Sums;

    #[projection]
    impl Sums {
        #[apply]
        fn opened(tx: &mut SqliteTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
            add(tx, meta, 0)
        }

        #[apply]
        fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
            add(tx, meta, event.amount)
        }

        #[apply]
        fn withdrawn(tx: &mut SqliteTransaction<'_>, event: Withdrawn, meta: &Meta<Account>) -> Result<()> {
            add(tx, meta, -event.amount)
        }
    }

    fn add(tx: &mut SqliteTransaction<'_>, meta: &Meta<Account>, cents: i64) -> Result<()> {
        let of_account = "INSERT INTO sums_v1_totals VALUES (?1, ?2, 1)
            ON CONFLICT DO UPDATE SET cents = cents + ?2, events = events + 1";
        tx.execute(of_account, (meta.id().to_string(), cents))?;
        let of_all = "INSERT INTO sums_v1 VALUES ('all', ?1, 1)
            ON CONFLICT DO UPDATE SET cents = cents + ?1, events = events + 1";
        tx.execute(of_all, [cents])?;
        Ok(())
    }

    pub(super) async fn dump(store: &SqliteStore) -> (Totals, (i64, i64)) {
        let rows = store.query(|connection| {
            let mut statement =
                connection.prepare("SELECT account, cents, events FROM sums_v1_totals ORDER BY account")?;
            let totals = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let totals = totals.collect::<Result<_, _>>()?;
            let sums = connection.query_row("SELECT cents, events FROM sums_v1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            Ok((totals, sums))
        });
        rows.await.unwrap()
    }

    /// The same in another number of segments.
    pub(super) mod halves {
        use super::*;

        #[projection(name = "sums", segments = 2, schema = "schemas_segments/sqlite.sql")]
        pub(in super::super) struct Sums;

        #[projection]
        impl Sums {
            #[apply]
            fn opened(_: &mut SqliteTransaction<'_>, _: Opened) -> Result<()> {
                Ok(())
            }
        }
    }
}

/// The projection `P`, and `O` that is partitioned otherwise.
async fn each_event_counts_once<S, P, O>(store: &S, dump: impl AsyncFn(&S) -> (Totals, (i64, i64)))
where
    S: ProjectionStore + Clone,
    P: Project<S> + es_runtime::Projection,
    O: Project<S>,
{
    let start = async || Runtime::builder(store.clone()).projection::<P>().start().await.unwrap();
    let bank = Runtime::builder(store.clone()).start().await.unwrap();
    let mut accounts = Vec::new();
    for _ in 0..12 {
        accounts.push(account_with(&bank, 100).await);
    }
    let mut runtime = start().await;
    for round in 0..4 {
        for account in &accounts {
            bank.execute(*account, Deposit { amount: 3 + round }).await.unwrap();
            bank.execute(*account, Withdraw { amount: 1 }).await.unwrap();
        }
        // Another process joins, and the one before ends at whatever it does.
        runtime = start().await;
    }
    let head = store.head().await.unwrap();
    let projection = runtime.projection::<P>();
    projection.wait_for(head, Duration::from_secs(120)).await.unwrap();

    let refused = Runtime::builder(store.clone())
        .projection::<O>()
        .start()
        .await
        .unwrap_err();
    let other = StartError::Segments {
        projection: "sums",
        version: 1,
        segments: 2,
        kept: 4,
    };
    assert_eq!(refused.to_string(), other.to_string());

    let folded = totals::folded(store).await;
    let sums = folded
        .iter()
        .fold((0, 0), |(cents, events), row| (cents + row.1, events + row.2));
    assert_eq!(dump(store).await, (folded, sums));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let folder = es_tests::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
    each_event_counts_once::<_, sqlite::Sums, sqlite::halves::Sums>(&store, sqlite::dump).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let store = stores::postgres().await;
    each_event_counts_once::<_, postgres::Sums, postgres::halves::Sums>(&store, postgres::dump).await;
}
