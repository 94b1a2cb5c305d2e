//! Measures the length and the time of an expansion: `cargo test --release -p es-macros --lib -- --ignored --nocapture
//! speed`.

use std::time::Instant;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{expand, flat};

#[test]
fn an_expansion_grows_by_the_same_with_each_method() {
    let tokens = |methods| {
        let mut all = Vec::new();
        flat(expand("aggregate", TokenStream::new(), block(methods)), &mut all);
        all.len()
    };
    assert_eq!(tokens(50) - tokens(40), tokens(20) - tokens(10));
}

#[test]
#[ignore = "prints a measurement"]
fn speed() {
    let block = block(20);
    // The fastest, as the others were disturbed.
    let fastest = (0..500).map(|_| {
        let start = Instant::now();
        std::hint::black_box(expand("aggregate", TokenStream::new(), block.clone()));
        start.elapsed()
    });
    println!("an aggregate of 20 handlers and 20 applies: {:?}", fastest.min());
}

/// A block with so many handlers and applies.
fn block(methods: usize) -> TokenStream {
    let methods = (1..methods).map(|index| {
        let (handle, apply) = (format_ident!("handle_{index}"), format_ident!("apply_{index}"));
        let (command, event) = (format_ident!("Change{index}"), format_ident!("Changed{index}"));
        quote! {
            #[handle]
            fn #handle(&self, command: #command, context: &Context) -> Result<#event, Refused> {
                positive(command.amount)?;
                Ok(#event { amount: command.amount, at: context.now() })
            }

            #[apply]
            fn #apply(&mut self, event: #event) {
                self.balance += event.amount;
            }
        }
    });
    quote! {
        impl Account {
            #[handle]
            fn open(_: Open) -> Opened {
                Opened
            }

            #[apply]
            fn opened(_: Opened) -> Self {
                Self { balance: 0 }
            }

            #(#methods)*
        }
    }
}
