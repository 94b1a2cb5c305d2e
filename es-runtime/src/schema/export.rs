use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::aggregates::Aggregates;
use super::lock::Key;

/// Writes a JSON Schema (draft 2020-12) of each event of the aggregates and each entity of `S` into `folder`, in each version that
/// can be read: `<folder>/<category>/<name>.<version>.json`, and `<folder>/<name>.<version>.json` for an entity. Other files that are
/// there already stay.
///
/// ```no_run
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Opened; #[command] pub struct Open;
/// # #[derive(Aggregate)] pub struct Account;
/// # #[aggregate] impl Account {
/// #     #[handle] fn open(_: Open) -> Opened { Opened }
/// #     #[apply] fn opened(_: Opened) -> Self { Account }
/// # }
/// es_runtime::schema::export::<(Account,)>("target/schemas")?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// If a file cannot be written, or if an event whose `Event` is implemented by hand does not tell its shape.
pub fn export<S: Aggregates>(folder: impl AsRef<Path>) -> io::Result<()> {
    let folder = folder.as_ref();
    let mut result = Ok(());
    S::each(&mut |category| {
        for found in category.found {
            if result.is_ok() {
                let file = format!("{}.{}.json", found.name, found.version);
                let key = Key {
                    category: category.name.to_owned(),
                    name: found.name,
                    version: found.version,
                };
                result = write(&folder.join(category.name), &file, &key, found.schema);
            }
        }
    });
    result
}

fn write(folder: &Path, file: &str, key: &Key, schema: Option<Value>) -> io::Result<()> {
    let Some(mut schema) = schema else {
        let message = format!("the shape of `{key}` is not known: implement `Stored::shapes`");
        return Err(io::Error::other(message));
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("title".to_owned(), key.to_string().into());
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(file), format!("{schema:#}\n"))
}
