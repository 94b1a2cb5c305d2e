use tokio_postgres::Client;

use crate::error::Problem;
use crate::schema::Schema;

/// Says who holds the append lock, of either kind.
pub(crate) async fn name(client: &Client, schema: &Schema) -> Result<Option<String>, Problem> {
    let row = client
        .query_opt(&schema.render(include_str!("../sql/holder.sql")), &[])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (pid, application, state, since): (i32, &str, &str, f64) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    Ok(Some(format!(
        "the append lock is held by process {pid} (`{application}`, {state}) in a transaction that began {since:.1} s ago: \
         let it commit, or end it with SELECT pg_terminate_backend({pid})"
    )))
}
