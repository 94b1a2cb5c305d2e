use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The shapes that stored events may have, each with its name and version. Filled by
/// [`Stored::shapes`](crate::Stored::shapes) and [`EventEnum::shapes`](crate::EventEnum::shapes).
#[derive(Default)]
pub struct Shapes {
    pub(super) found: Vec<Found>,
}

pub(super) struct Found {
    pub(super) name: String,
    pub(super) version: u32,
    /// The last part of the path of its Rust type.
    pub(super) rust: String,
    /// `None` if an implementation by hand does not tell.
    pub(super) schema: Option<Value>,
}

impl Shapes {
    /// Events that are stored under `name`, in version `version` of their shape, are read as `T`.
    pub fn add<T: JsonSchema>(&mut self, name: &str, version: u32) {
        let schema = SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<T>();
        self.push::<T>(name, version, Some(schema.to_value()));
    }

    /// Notes that events of this name and version can be read, but not in which shape.
    pub(crate) fn unknown<T>(&mut self, name: &str, version: u32) {
        self.push::<T>(name, version, None);
    }

    fn push<T>(&mut self, name: &str, version: u32, schema: Option<Value>) {
        let rust = std::any::type_name::<T>();
        self.found.push(Found {
            name: name.to_owned(),
            version,
            rust: rust.rsplit("::").next().unwrap_or(rust).to_owned(),
            schema,
        });
    }
}
