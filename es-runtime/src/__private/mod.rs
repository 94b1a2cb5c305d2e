//! One function for each thing that generated code does, so that generated code only calls.
//!
//! Those for an event or a command are bound by [`EventOf`](crate::EventOf) or [`CommandOf`](crate::CommandOf), which
//! `#[aggregate]` writes in any case: an item without `#[event]` or `#[command]` is then one error, at that implementation, and
//! not one more at each call.

mod aggregate;
mod command;
mod event;
#[cfg(feature = "garde")]
mod garde;
mod plain;
mod process;
mod publication;
mod repeated;
mod retired;
mod row;
mod schema;
mod shape;
mod shown;
mod snapshot;
mod sql;
mod unique;
mod upcast;
mod value;

pub use std::string::String;
pub use std::vec::Vec;

pub use serde;

pub use crate::nearest::nearest_first;

pub use aggregate::{after_error, aggregate_name, stream_id};
pub use command::{
    check, clone_command, command_info, command_name, debug_command, decide, decode_command, deserialize_command,
    eq_command, handle_any, serialize_command, unknown_command,
};
pub use event::{
    change, check_event, clone_event, create, debug_event, decode, encode, encode_as, eq_event, info, info_of,
    is_named, is_plain, one_event, push_event, vec_of,
};
#[cfg(feature = "garde")]
pub use garde::{Garde, check_by_garde};
pub use plain::{NotPlain, Plain, PlainKey, PlainOf, Plainness, Seen};
pub use process::{AnyId, instance_key, instance_of_stream, next_state};
pub use publication::{key_of_stream, message_key};
pub use repeated::Repeated;
pub use retired::{RetiredOf, decode_retired, retired_info, was_named};
pub use row::{
    IsMeta, assert_after_the_append, assert_one_segment, change_row, create_row, into_row, known_before, one_key,
    replace_row, row_event, several_keys, stream_key, upsert_row,
};
pub use schema::*;
pub use shape::{NoShape, Shape, ShapeOf, fingerprint};
pub use shown::{NoJson, NoText, ShownJson, ShownText, shown, state};
pub use snapshot::snapshot_policy;
pub use sql::{SqlFuture, sql_done, sql_event, sql_meta, sql_running};
pub use unique::{Named, NewestShape, assert_chain, assert_unique_command, assert_unique_event};
pub use upcast::{
    Back, NoWayBack, OldShape, StepError, changed, decode_chain, encode_chain, oldest, try_upcast, upcast, writes_from,
};
#[cfg(feature = "schema")]
pub use value::assert_shape;
pub use value::assert_value;
