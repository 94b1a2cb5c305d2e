//! The state of an aggregate as text and as JSON, where its type has them.
//!
//! Method lookup takes `ShownText` before `NoText`, as the latter is one reference further away, so that the expansion of `#[aggregate]`
//! needs no bound.

use std::fmt::Debug;

use bytes::Bytes;
use serde::Serialize;

use crate::runtime::AnyState;

/// Wraps a state.
pub struct Shown<'a, A>(&'a A);

pub fn shown<A>(state: &A) -> Shown<'_, A> {
    Shown(state)
}

pub trait ShownText {
    fn text(&self) -> String;
}

impl<A: Debug> ShownText for &Shown<'_, A> {
    fn text(&self) -> String {
        format!("{:#?}", self.0)
    }
}

pub trait NoText {
    fn text(&self) -> String;
}

impl<A> NoText for Shown<'_, A> {
    fn text(&self) -> String {
        std::any::type_name::<A>().to_owned()
    }
}

pub trait ShownJson {
    fn json(&self) -> Option<Bytes>;
}

impl<A: Serialize> ShownJson for &Shown<'_, A> {
    fn json(&self) -> Option<Bytes> {
        let mut json = Vec::new();
        crate::json::encode(self.0, &mut json).ok()?;
        Some(json.into())
    }
}

pub trait NoJson {
    fn json(&self) -> Option<Bytes>;
}

impl<A> NoJson for Shown<'_, A> {
    fn json(&self) -> Option<Bytes> {
        None
    }
}

pub fn state(text: String, json: Option<Bytes>) -> AnyState {
    AnyState { text, json }
}
