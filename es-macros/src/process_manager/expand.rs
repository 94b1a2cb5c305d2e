use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::block::Block;
use super::reaction::{Hears, Reaction};
use super::signature::{Extra, Takes};
use super::state::State;
use crate::aggregate::listed::Listed;
use crate::stored_name::snake_case;

pub(super) fn state(state: &State) -> TokenStream {
    let State { stored, id } = state;
    let (runtime, ident) = (&stored.runtime, &stored.message.ident);
    let private = runtime.private();
    // So that only the missing id is reported.
    let id = id.as_ref().map_or_else(|| quote!(#private::AnyId), |id| quote!(#id));
    quote! {
        #[automatically_derived]
        impl #runtime::process::ProcessState for #ident {
            type Id = #id;
        }
    }
}

pub(super) fn block(block: &Block) -> TokenStream {
    let Block { runtime, this, .. } = block;
    let events = block.reactions.iter().filter_map(|reaction| of_event(block, reaction));
    let commands = block.commands();
    let answers = commands.iter().filter_map(|command| answers(block, command));
    let timers: Vec<_> = block.reactions.iter().filter_map(timer_of).collect();
    let listed_timers = timers.iter().map(|(_, timer)| {
        let (cfgs, ty) = (&timer.cfgs, &timer.ty);
        quote_spanned!(timer.variant.span()=> #(#cfgs)* { on.timer::<#ty>(); })
    });
    let listed = if block.sound {
        quote!(#(#events)* #(#answers)* #(#listed_timers)*)
    } else {
        TokenStream::new()
    };
    let failures = commands.iter().filter_map(|command| failure(block, command));
    let due = timers.iter().map(|(reaction, timer)| due(block, reaction, timer));
    quote! {
        #[automatically_derived]
        impl #runtime::process::ProcessManager for #this {
            #[allow(unused_variables)]
            fn reactions(on: &mut #runtime::process::Reactions<Self>) {
                #listed
            }
        }

        #(#failures)*

        #(#due)*
    }
}

/// The line that lists an event.
fn of_event(block: &Block, reaction: &Reaction) -> Option<TokenStream> {
    let Hears::Event { event, key, names } = &reaction.hears else {
        return None;
    };
    let private = block.runtime.private();
    let (cfgs, ty, span) = (&event.cfgs, &event.ty, event.variant.span());
    let [event_name, meta_name] = names;
    let key = match key {
        None => quote_spanned!(span=> |_, meta| #private::instance_of_stream::<Self>(meta.id())),
        Some(key) => {
            let key = quote_spanned!(key.span()=> #private::instance_key::<Self>(&(#key)));
            quote!(|#event_name, #meta_name| { let _ = (#event_name, #meta_name); #key })
        }
    };
    let list = match reaction.takes {
        Takes::None => "begins",
        Takes::Mutable | Takes::Owned => "changes",
        Takes::Maybe => "begins_or_changes",
    };
    let list = Ident::new(list, span);
    let react = closure(block, reaction, span, "event", &[Extra::Meta, Extra::Todo]);
    Some(quote_spanned!(span=> #(#cfgs)* { on.#list::<#ty>(#key, #react); }))
}

/// The line that lists a command, if anything is heard of its failure: if not, who sends it is told.
fn answers(block: &Block, command: &Listed) -> Option<TokenStream> {
    block.failed(command)?;
    let (cfgs, ty, span) = (&command.cfgs, &command.ty, command.variant.span());
    let react = match block.done(command) {
        Some(reaction) => closure(block, reaction, span, "heard", &[Extra::Todo]),
        None => quote!(|this, _, _| ::core::option::Option::Some(this)),
    };
    Some(quote_spanned!(span=> #(#cfgs)* { on.answers::<#ty>(#react); }))
}

fn failure(block: &Block, command: &Listed) -> Option<TokenStream> {
    let reaction = block.failed(command)?;
    let Block { runtime, this, .. } = block;
    let (cfgs, ty, span) = (&command.cfgs, &command.ty, command.variant.span());
    let body = body(block, reaction, span, matches!(reaction.hears, Hears::AnyFailed { .. }));
    let (receiver, todo) = (receiver(block, reaction, span), parameter(reaction, Extra::Todo, span));
    Some(quote_spanned! {span=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::process::HearsFailure<#ty> for #this {
            fn failed(
                #receiver,
                heard: #runtime::process::Failed<#ty>,
                #todo: &mut #runtime::process::Todo<Self>,
            ) -> ::core::option::Option<Self> {
                #body
            }
        }
    })
}

fn due(block: &Block, reaction: &Reaction, timer: &Listed) -> TokenStream {
    let Block { runtime, this, .. } = block;
    let (cfgs, ty, span) = (&timer.cfgs, &timer.ty, timer.variant.span());
    let name = snake_case(&timer.variant);
    let body = body(block, reaction, span, false);
    let (receiver, todo) = (receiver(block, reaction, span), parameter(reaction, Extra::Todo, span));
    quote_spanned! {span=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::process::HearsTimer<#ty> for #this {
            const TIMER: &'static str = #name;

            fn due(
                #receiver,
                heard: #runtime::process::Due<#ty>,
                #todo: &mut #runtime::process::Todo<Self>,
            ) -> ::core::option::Option<Self> {
                #body
            }
        }
    }
}

fn timer_of(reaction: &Reaction) -> Option<(&Reaction, &Listed)> {
    match &reaction.hears {
        Hears::Due(timer) => Some((reaction, timer)),
        _ => None,
    }
}

/// The method as a closure that takes the state, what is heard and these.
fn closure(block: &Block, reaction: &Reaction, span: Span, heard: &str, extras: &[Extra]) -> TokenStream {
    let private = block.runtime.private();
    let parameters = extras.iter().map(|extra| parameter(reaction, *extra, span));
    let this = match reaction.takes {
        Takes::None => quote_spanned!(span=> ()),
        Takes::Mutable => quote_spanned!(span=> mut this),
        Takes::Owned | Takes::Maybe => quote_spanned!(span=> this),
    };
    let heard = Ident::new(heard, span);
    let call = call(reaction, &quote!(#heard), span, &Ident::new("this", span));
    let body = match reaction.takes {
        Takes::Mutable => quote_spanned!(span=> { #call; ::core::option::Option::Some(this) }),
        Takes::None | Takes::Owned | Takes::Maybe => quote_spanned!(span=> #private::next_state::<Self>(#call)),
    };
    quote_spanned!(span=> |#this, #heard, #(#parameters),*| #body)
}

/// The state as a function takes it that calls the method.
fn receiver(block: &Block, reaction: &Reaction, span: Span) -> TokenStream {
    match reaction.takes {
        Takes::Mutable if block.sound => quote_spanned!(span=> mut self),
        _ => quote_spanned!(span=> self),
    }
}

/// The parameter for what the method takes behind what it hears; without a name if the method does not take it.
fn parameter(reaction: &Reaction, extra: Extra, span: Span) -> TokenStream {
    if reaction.extras.contains(&extra) {
        let name = Ident::new(extra.name(), span);
        quote!(#name)
    } else {
        quote_spanned!(span=> _)
    }
}

/// The body of a function that takes `self`, `heard` and `todo`.
fn body(block: &Block, reaction: &Reaction, span: Span, converts: bool) -> TokenStream {
    let private = block.runtime.private();
    if !block.sound {
        return quote_spanned!(span=> #private::after_error((self, heard)));
    }
    let heard = if converts {
        quote_spanned!(span=> ::core::convert::Into::into(heard))
    } else {
        quote_spanned!(span=> heard)
    };
    let call = call(reaction, &heard, span, &Ident::new("self", span));
    match reaction.takes {
        Takes::Mutable => quote_spanned!(span=> #call; ::core::option::Option::Some(self)),
        Takes::None | Takes::Owned | Takes::Maybe => quote_spanned!(span=> #private::next_state::<Self>(#call)),
    }
}

/// The call of the method.
fn call(reaction: &Reaction, heard: &TokenStream, span: Span, this: &Ident) -> TokenStream {
    let method = &reaction.method;
    let this = match reaction.takes {
        Takes::None => None,
        Takes::Mutable => Some(quote_spanned!(span=> &mut #this,)),
        Takes::Owned | Takes::Maybe => Some(quote_spanned!(span=> #this,)),
    };
    let extras = reaction.extras.iter().map(|extra| Ident::new(extra.name(), span));
    quote_spanned!(method.span()=> <Self>::#method(#this #heard, #(#extras),*))
}
