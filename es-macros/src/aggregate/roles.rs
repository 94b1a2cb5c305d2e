//! Mistakes in one method of the block that another method reveals.

use syn::{Type, parse_quote};

use super::apply::Apply;
use super::handler::pascal_case;
use super::listed::{Listed, shown, text};
use super::model::Block;
use crate::errors::Errors;

impl Block {
    /// Reports types that cannot be what a method takes them for: one that is both handled and applied, and the enums that the block
    /// generates.
    pub(super) fn check_roles(&mut self, errors: &mut Errors) {
        let applies = self.applies.iter().map(|apply| (&apply.method, &apply.event));
        let events: Vec<_> = applies
            .chain(self.retired.iter().map(|retired| (&retired.method, &retired.event)))
            .collect();
        let (mut not_commands, mut not_events) = (Vec::new(), Vec::new());
        for handler in &self.handlers {
            let command = &handler.command;
            let Some((method, event)) = events
                .iter()
                .find(|(_, event)| event.text == command.text && event.meets(command))
            else {
                continue;
            };
            let name = &command.variant;
            // The name of the method tells which of the two is meant.
            if pascal_case(&handler.method) == *name.to_string() {
                errors.at(
                    &event.ty,
                    format!(
                        "`{name}` is a command, which `{}` handles: an apply takes the event that a handler returns",
                        handler.method
                    ),
                );
                not_events.push(name.clone());
            } else {
                errors.at(&command.ty, format!("`{name}` is an event, which `{method}` applies: a handler takes a command, and returns the event"));
                not_commands.push(name.clone());
            }
        }
        self.handlers
            .retain(|handler| !not_commands.contains(&handler.command.variant));
        self.applies.retain(|apply| !not_events.contains(&apply.event.variant));
        self.retired
            .retain(|retired| !not_events.contains(&retired.event.variant));
        self.check_returned_commands(errors);
        self.check_generated(errors);
    }

    /// Reports commands that are returned, and takes their handlers for ones that return nothing.
    fn check_returned_commands(&mut self, errors: &mut Errors) {
        let commands: Vec<_> = self
            .handlers
            .iter()
            .map(|handler| handler.command.text.clone())
            .collect();
        for handler in &mut self.handlers {
            let is_command = |ty: &&Type| commands.contains(&text(*ty));
            let Some(command) = handler.returned_events().into_iter().find(is_command) else {
                continue;
            };
            let (method, name) = (&handler.method, shown(command));
            errors.at(
                command,
                format!("`{name}` is a command: handler `{method}` returns the event that happens"),
            );
            handler.returns = match handler.refusal() {
                Some(refusal) => parse_quote!(::core::result::Result<(), #refusal>),
                None => parse_quote!(()),
            };
        }
    }

    /// Reports the names of the generated enums where an event or a command is expected.
    fn check_generated(&mut self, errors: &mut Errors) {
        let (events, commands) = (self.event_enum(), self.command_enum());
        let mut clashes = Vec::new();
        let mut is_listed = |listed: &Listed| {
            let name = &listed.variant;
            let (all, each) = if *name == events {
                ("events", "apply each event in a method of its own")
            } else if *name == commands {
                ("commands", "handle each command in a method of its own")
            } else {
                return true;
            };
            let message = format!(
                "`{name}` is the enum of all {all} that `#[aggregate]` generates: {each}, or give a struct of yours another name"
            );
            errors.at(&listed.ty, message);
            clashes.push(name.clone());
            false
        };
        self.handlers.retain(|handler| is_listed(&handler.command));
        self.applies.retain(|apply| is_listed(&apply.event));
        self.retired.retain(|retired| is_listed(&retired.event));
        self.clashes = clashes;
    }

    /// After an error at an apply, its event is unknown: it may be any that is returned and not applied.
    pub(super) fn take_as_applied(&mut self) {
        let events: Vec<_> = self
            .handlers
            .iter()
            .flat_map(|handler| handler.returned_events().into_iter().map(move |event| (event, handler)))
            .filter(|(event, _)| self.apply_of(event).is_none())
            .filter_map(|(event, handler)| {
                Some(Apply {
                    method: handler.method.clone(),
                    event: Listed::new(event, &[])?,
                    creates: handler.on.may_create(),
                })
            })
            .collect();
        let generated = self.event_enum();
        for apply in events {
            let name = &apply.event.variant;
            if *name != generated && !self.applies.iter().any(|other| other.event.variant == *name) {
                self.applies.push(apply);
            }
        }
    }
}
