use es_runtime::prelude::*;

pub struct AccountEvent;

#[projection(name = "steps")]
pub struct Steps {
    count: u64,
}

#[projection]
impl Steps {
    #[apply]
    fn any(this: Option<Self>, _: AccountEvent) -> Self {
        Steps { count: this.map_or(0, |row| row.count) + 1 }
    }
}

fn main() {}
