//! Looks for settings under which the store cannot keep its promises.

use std::fmt;
use std::time::Duration;

use es_runtime::StoreError;
use tokio_postgres::Client;

use crate::connection::Link;
use crate::error::Problem;
use crate::pooler::shares_sessions;
use crate::schema::Schema;

/// A problem with the server, the database or the role.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The risk.
    pub risk: Risk,
    /// The cause, and the remedy.
    pub message: String,
}

/// The subject of a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Risk {
    /// An append may return `Ok` and be lost in a crash.
    WeakDurability,
    /// Clients share connections from one transaction to the next, so settings and prepared statements of one appear in
    /// another.
    TransactionPooler,
    /// The text in the database is not UTF-8.
    Encoding,
    /// A part of the schema is missing, or not as it was made.
    DamagedSchema,
    /// A transaction may end as prepared, and keep the append lock.
    PreparedTransactions,
    /// Transactions of this role begin at an isolation level at which an append is refused.
    Isolation,
    /// Row security does not bind the role: that matters if you separate rows with it.
    BypassesRowSecurity,
    /// The server's clock is behind the time of the last event.
    Clock,
}

impl Risk {
    /// Returns whether a store refuses to open because of it, unless it is allowed.
    pub fn is_dangerous(self) -> bool {
        matches!(
            self,
            Self::WeakDurability | Self::TransactionPooler | Self::Encoding | Self::DamagedSchema
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Examines everything, on a connection as the store uses it. Changes nothing.
///
/// # Errors
///
/// If the server cannot be asked.
pub async fn examine(client: &Client, schema: &Schema) -> Result<Vec<Finding>, StoreError> {
    let mut findings = examine_server(client).await?;
    findings.extend(examine_schema(client, schema).await?);
    Ok(findings)
}

/// Looks at what can be seen before there is a schema.
pub(crate) async fn examine_server(client: &Client) -> Result<Vec<Finding>, StoreError> {
    let mut findings = settings(client).await.map_err(unseen)?;
    findings.extend(prepared(client).await.map_err(unseen)?);
    Ok(findings)
}

pub(crate) async fn examine_schema(client: &Client, schema: &Schema) -> Result<Vec<Finding>, StoreError> {
    let mut findings = parts(client, schema).await.map_err(unseen)?;
    findings.extend(clock(client, schema).await.map_err(unseen)?);
    Ok(findings)
}

/// Finds a pooler that shares sessions, on two connections on which nothing is set yet.
pub(crate) async fn examine_way(one: Link, other: &Client, patience: Duration) -> Result<Vec<Finding>, StoreError> {
    if !shares_sessions(one, other, patience).await.map_err(unseen)? {
        return Ok(Vec::new());
    }
    Ok(vec![finding(
        Risk::TransactionPooler,
        "a pooler in transaction mode stands before the server: connect to the server itself, or to a port at which the pooler is in \
         session mode"
            .to_owned(),
    )])
}

fn unseen(problem: Problem) -> StoreError {
    problem.while_doing("examine the server")
}

async fn settings(client: &Client) -> Result<Vec<Finding>, Problem> {
    let row = client
        .query_one(include_str!("../sql/doctor_settings.sql"), &[])
        .await?;
    let mut findings = durability(
        row.try_get("fsync")?,
        row.try_get("full_page_writes")?,
        row.try_get("synchronous_commit")?,
        row.try_get("origin")?,
    );
    let encoding: &str = row.try_get("encoding")?;
    if encoding != "UTF8" {
        findings.push(finding(
            Risk::Encoding,
            format!("the database is encoded as {encoding}: create one with ENCODING 'UTF8'"),
        ));
    }
    let isolation: Option<&str> = row.try_get("isolation")?;
    if let Some(isolation) = isolation {
        findings.push(finding(
            Risk::Isolation,
            format!(
                "transactions begin as {isolation} by default, at which append() is refused: the store sets its own \
                 connections right, other clients must begin theirs as READ COMMITTED"
            ),
        ));
    }
    if row.try_get("bypasses")? {
        findings.push(finding(
            Risk::BypassesRowSecurity,
            "the role is a superuser or has BYPASSRLS, so that no row security binds it: use a role of the application"
                .to_owned(),
        ));
    }
    Ok(findings)
}

fn durability(fsync: &str, full_page_writes: &str, synchronous_commit: &str, origin: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in [("fsync", fsync), ("full_page_writes", full_page_writes)] {
        if value == "off" {
            findings.push(finding(
                Risk::WeakDurability,
                format!("{name} is off, so that a crash of the machine can destroy the database: set {name} = on"),
            ));
        }
    }
    if synchronous_commit == "off" {
        findings.push(finding(
            Risk::WeakDurability,
            format!(
                "synchronous_commit is off ({origin}), so that a crash loses appends that were answered with Ok: \
                 set synchronous_commit = on there"
            ),
        ));
    }
    findings
}

/// Fails if answers of this session may be lost in a crash: role and database may have been changed since the last one.
pub(crate) async fn insist_on_durability(client: &Client, allowed: &[Risk]) -> Result<(), Problem> {
    if allowed.contains(&Risk::WeakDurability) {
        return Ok(());
    }
    let findings = settings(client).await?;
    match findings
        .into_iter()
        .find(|finding| finding.risk == Risk::WeakDurability)
    {
        Some(finding) => Err(Problem::Refused(finding.message)),
        None => Ok(()),
    }
}

/// Tables, indexes and functions without which the promises are not kept.
async fn parts(client: &Client, schema: &Schema) -> Result<Vec<Finding>, Problem> {
    let rows = client
        .query(&schema.render(include_str!("../sql/doctor_parts.sql")), &[])
        .await?;
    rows.iter()
        .map(|row| {
            let part: &str = row.try_get(0)?;
            Ok(finding(
                Risk::DamagedSchema,
                format!(
                    "schema `{}` lacks {part}: restore it from es_postgres::schema::print",
                    schema.name()
                ),
            ))
        })
        .collect()
}

async fn prepared(client: &Client) -> Result<Vec<Finding>, Problem> {
    let row = client
        .query_one(include_str!("../sql/doctor_prepared.sql"), &[])
        .await?;
    if !row.try_get(0)? {
        return Ok(Vec::new());
    }
    let waiting: Option<&str> = row.try_get(1)?;
    let waiting = waiting.map_or(String::new(), |gids| format!("; prepared in this database now: {gids}"));
    Ok(vec![finding(
        Risk::PreparedTransactions,
        format!(
            "max_prepared_transactions is above 0: a prepared transaction that has called append() keeps its lock until it \
             ends, and two-phase commit is not supported by the store{waiting}"
        ),
    )])
}

async fn clock(client: &Client, schema: &Schema) -> Result<Vec<Finding>, Problem> {
    let row = client
        .query_one(&schema.render(include_str!("../sql/doctor_clock.sql")), &[])
        .await?;
    let behind: f64 = row.try_get(0)?;
    if behind <= 1.0 {
        return Ok(Vec::new());
    }
    Ok(vec![finding(
        Risk::Clock,
        format!(
            "the server's clock is {behind:.0} s behind the last event: recorded_at stands still until it catches up; check \
             its time service"
        ),
    )])
}

fn finding(risk: Risk, message: String) -> Finding {
    Finding { risk, message }
}
