//! Names that an operator types.

use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use es_runtime::__private::nearest_first;
use es_runtime::runtime::{AnyAggregate, AnyInstance};
use es_runtime::{Runtime, StreamId, Version};

use crate::failed::Failed;

/// A version or a position that a store can keep, with one more behind it.
pub(crate) fn number() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(..Version::MAX.0)
}

/// The name of a stream, as every command writes it.
#[derive(Debug, Clone)]
pub(crate) struct StreamName {
    pub(crate) category: String,
    pub(crate) id: String,
}

impl FromStr for StreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((category, id)) if !category.is_empty() && !id.is_empty() => Ok(Self {
                category: category.to_owned(),
                id: id.to_owned(),
            }),
            _ => Err("write AGGREGATE/ID".to_owned()),
        }
    }
}

impl StreamName {
    /// Returns the stream. The id of an aggregate that is registered is read as one of its ids.
    pub(crate) fn stream(&self, runtime: &Runtime) -> Result<StreamId, Failed> {
        match runtime.any(&self.category) {
            Some(_) => Ok(self.instance(runtime)?.stream().clone()),
            None => Ok(StreamId::new(self.category.clone(), &*self.id)),
        }
    }

    /// The failure to find the stream, whose aggregate may be mistyped.
    pub(crate) async fn missing(&self, runtime: &Runtime) -> Result<Failed, Failed> {
        let stored = runtime.store().stored_events().await?;
        let registered = runtime.catalog().aggregates.iter().map(|aggregate| aggregate.name);
        let mut known: Vec<_> = registered.chain(stored.iter().map(|kind| &*kind.category)).collect();
        known.sort_unstable();
        known.dedup();
        Ok(if known.contains(&&*self.category) {
            Failed::Error(format!("there is no stream {}/{}", self.category, self.id))
        } else {
            unknown("aggregate", &self.category, known)
        })
    }

    /// Returns the instance of a registered aggregate.
    pub(crate) fn instance<'r>(&self, runtime: &'r Runtime) -> Result<AnyInstance<'r>, Failed> {
        let instance = aggregate(runtime, &self.category)?.instance(&self.id);
        instance.map_err(|invalid| Failed::Usage(invalid.reason.to_string()))
    }
}

/// Returns the registered aggregate of this name.
pub(crate) fn aggregate<'r>(runtime: &'r Runtime, name: &str) -> Result<AnyAggregate<'r>, Failed> {
    let known = runtime.catalog().aggregates.iter().map(|aggregate| aggregate.name);
    runtime.any(name).ok_or_else(|| unknown("aggregate", name, known))
}

/// The failure to find `name`, with the nearest names that there are.
pub(crate) fn unknown<'n>(what: &str, name: &str, known: impl IntoIterator<Item = &'n str>) -> Failed {
    let mut nearest = nearest_first(name, known);
    nearest.truncate(3);
    let listed = nearest.iter().map(|name| format!("`{name}`"));
    let listed = listed.collect::<Vec<_>>().join(", ");
    Failed::Usage(match &*listed {
        "" => format!("there is no {what} `{name}`: this program registers none"),
        listed => format!("there is no {what} `{name}`: the nearest names are {listed}"),
    })
}
