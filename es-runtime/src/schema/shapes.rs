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

/// The JSON Schema of `T`, draft 2020-12.
pub fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

impl Shapes {
    /// Returns the JSON Schema (draft 2020-12) of the event stored under `name`, in this version; `None` if there is none or it is not
    /// told.
    pub fn schema(&self, name: &str, version: u32) -> Option<&Value> {
        let is_it = |found: &&Found| found.name == name && found.version == version;
        self.found.iter().find(is_it)?.schema.as_ref()
    }

    /// Events that are stored under `name`, in version `version` of their shape, are read as `T`.
    pub fn add<T: JsonSchema>(&mut self, name: &str, version: u32) {
        self.push::<T>(name, version, Some(schema_of::<T>()));
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
