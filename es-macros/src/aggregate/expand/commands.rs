use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::belongs;
use super::enums::Enum;
use crate::aggregate::handler::{Handler, On};
use crate::aggregate::listed::Listed;
use crate::aggregate::model::Block;
use crate::aggregate::signature::last_segment;
use crate::local::local;

pub(super) fn expand(block: &Block) -> TokenStream {
    let commands = Enum {
        block,
        ident: block.command_enum(),
        variants: block.handlers.iter().map(|handler| &handler.command).collect(),
        noun: "command",
    };
    let definition = commands.define();
    let unique = unique(&commands);
    let command_of = apart(block);
    let serde = serde(&commands);
    let command_enum = command_enum(&commands);
    let commanded = commanded(&commands);
    quote!(#definition #unique #command_of #serde #command_enum #commanded)
}

/// Generates the code for each command on its own.
pub(super) fn apart(block: &Block) -> TokenStream {
    block
        .handlers
        .iter()
        .map(|handler| command_of(block, handler))
        .collect()
}

/// A call of the constant function that gives the command's name.
fn name_of(commands: &Enum<'_>, Listed { ty, .. }: &Listed) -> TokenStream {
    let Block { runtime, aggregate, .. } = commands.block;
    quote!(#runtime::__private::command_name::<#aggregate, #ty>())
}

/// Compares the names of all commands while compiling, as `unique` of the events does.
fn unique(commands: &Enum<'_>) -> TokenStream {
    let Block { runtime, ident, .. } = commands.block;
    let private = runtime.private();
    let aggregate = ident.to_string();
    let entry = |listed: &Listed| {
        let (variant, name) = (listed.variant.to_string(), name_of(commands, listed));
        quote!((#variant, #name))
    };
    let names = commands.each(|listed| {
        let entry = entry(listed);
        quote!(#entry,)
    });
    let assertions = commands.each(|listed| {
        let (entry, span) = (entry(listed), listed.variant.span());
        let function = Ident::new("assert_unique_command", span);
        quote_spanned!(span=> const _: () = #function(#aggregate, NAMES, REPEATED, #entry);)
    });
    quote! {
        const _: () = {
            use #private::assert_unique_command;
            const NAMES: &[(&str, &str)] = &[#names];
            const REPEATED: &#private::Repeated = &#private::Repeated::of_commands(NAMES);
            #assertions
        };
    }
}

fn command_of(block: &Block, handler: &Handler) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let Listed { ty, variant, cfgs, .. } = &handler.command;
    let private = runtime.private();
    let on = match handler.on {
        On::New => quote!(#runtime::New),
        On::Existing => quote!(#runtime::Existing),
        On::Either => quote!(#runtime::Either),
    };
    let span = returned_span(block, handler);
    let returns = with_self(handler.returns.to_token_stream(), &aggregate.to_token_stream());
    let outcome = quote_spanned!(span=> <#returns as #runtime::Outcome<#aggregate>>);
    let body = body(block, handler, &outcome, span);
    // One span for all that fails with the returned type, so that it is reported once.
    let items = quote_spanned! {span=>
        type On = #on;
        type Refusal = #outcome::Refusal;

        fn handle(
            self,
            state: <#on as #runtime::Target>::State<'_, #aggregate>,
            context: &#runtime::Context,
        ) -> ::core::result::Result<#private::Vec<<#aggregate as #runtime::EventSourced>::Event>, #outcome::Refusal> {
            #body
        }
    };
    let belongs = belongs(block, &handler.command);
    quote_spanned! {variant.span()=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::CommandOf<#aggregate> for #ty {
            #items
        }

        #belongs
    }
}

fn body(block: &Block, handler: &Handler, outcome: &TokenStream, span: Span) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    if !block.sound {
        return quote_spanned!(span=> #runtime::__private::after_error((self, state, context)));
    }
    let method = &handler.method;
    let state = (handler.on != On::New).then(|| quote_spanned!(span=> state,));
    let context = handler.context.as_ref().map(|ty| local("context", span, ty.span()));
    let unused = match (&state, &context) {
        (None, None) => quote_spanned!(span=> let _ = (state, context);),
        (None, Some(_)) => quote_spanned!(span=> let () = state;),
        (Some(_), None) => quote_spanned!(span=> let _ = context;),
        (Some(_), Some(_)) => TokenStream::new(),
    };
    quote_spanned! {span=>
        #unused
        #outcome::into_result(<#aggregate>::#method(#state self, #context))
    }
}

/// Where it is reported that a handler cannot return its type: at the event that no method of the block applies, as far as
/// can be told, or else at the refusal, or else at the type itself.
fn returned_span(block: &Block, handler: &Handler) -> Span {
    let missing = handler
        .returned_events()
        .into_iter()
        .find(|ty| block.apply_of(ty).is_none());
    let culprit = missing.or(handler.refusal()).unwrap_or(&handler.returns);
    last_segment(culprit).map_or_else(|| culprit.span(), |segment| segment.ident.span())
}

/// The type with `Self`, which means the aggregate there and would mean the command here, replaced.
fn with_self(ty: TokenStream, aggregate: &TokenStream) -> TokenStream {
    ty.into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => aggregate.clone(),
            TokenTree::Group(group) => {
                let mut changed = Group::new(group.delimiter(), with_self(group.stream(), aggregate));
                changed.set_span(group.span());
                TokenTree::Group(changed).into()
            }
            token => token.into(),
        })
        .collect()
}

/// As serde would write an enum with external tags, but with the commands' own names for tags.
fn serde(commands: &Enum<'_>) -> TokenStream {
    let Enum { block, ident, .. } = commands;
    let Block { runtime, aggregate, .. } = block;
    let private = runtime.private();
    let enum_name = ident.to_string();
    let serialize = commands.dispatch(
        |Listed { ty, .. }| quote!(#private::serialize_command::<#aggregate, #ty, __S>(item, #enum_name, serializer)),
    );
    quote! {
        #[automatically_derived]
        impl #private::serde::Serialize for #ident {
            fn serialize<__S: #private::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #serialize
            }
        }

        #[automatically_derived]
        impl<'de> #private::serde::Deserialize<'de> for #ident {
            fn deserialize<__D: #private::serde::Deserializer<'de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                #private::deserialize_command::<Self, __D>(#enum_name, deserializer)
            }
        }
    }
}

fn command_enum(commands: &Enum<'_>) -> TokenStream {
    let Enum { block, ident, .. } = commands;
    let Block { runtime, aggregate, .. } = block;
    let private = runtime.private();
    let names = commands.each(|listed| {
        let name = name_of(commands, listed);
        quote!(#name,)
    });
    let infos = commands.each(|Listed { ty, .. }| quote!(#private::command_info::<#aggregate, #ty>(),));
    let known = commands.each(|listed| {
        let (name, ty) = (name_of(commands, listed), &listed.ty);
        quote!(_ if name == #name => #private::decode_command::<#aggregate, #ty, Self, __D>(content),)
    });
    let check = commands.dispatch(|Listed { ty, .. }| quote!(#private::check::<#aggregate, #ty>(item)));
    let decide = commands.each(|Listed { ty, variant, .. }| {
        quote!(Self::#variant(item) => #private::decide::<#aggregate, #ty>(item, state, context),)
    });
    quote! {
        #[automatically_derived]
        impl #runtime::CommandEnum for #ident {
            const COMMANDS: &'static [&'static str] = &[#names];
            const INFOS: &'static [#runtime::CommandInfo] = &[#infos];

            fn deserialize_named<'de, __D: #private::serde::Deserializer<'de>>(
                name: &str,
                content: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                match name {
                    #known
                    _ => ::core::result::Result::Err(#private::unknown_command::<Self, __D>(name)),
                }
            }
        }

        #[automatically_derived]
        impl #runtime::Command for #ident {
            const NAME: &'static str = #private::aggregate_name::<#aggregate>();

            fn check(&self) -> ::core::result::Result<(), #runtime::Invalid> {
                #check
            }
        }

        #[automatically_derived]
        impl #runtime::CommandOf<#aggregate> for #ident {
            type On = #runtime::Either;
            type Refusal = #runtime::AnyRefusal;

            fn handle(
                self,
                state: ::core::option::Option<&#aggregate>,
                context: &#runtime::Context,
            ) -> ::core::result::Result<#private::Vec<<#aggregate as #runtime::EventSourced>::Event>, #runtime::AnyRefusal> {
                #private::handle_any::<#aggregate, Self>(self, state, context)
            }

            fn decide(
                self,
                state: ::core::option::Option<&#aggregate>,
                context: &#runtime::Context,
            ) -> ::core::result::Result<
                #private::Vec<<#aggregate as #runtime::EventSourced>::Event>,
                #runtime::Declined<#runtime::AnyRefusal>,
            > {
                match self {
                    #decide
                }
            }
        }
    }
}

fn commanded(commands: &Enum<'_>) -> TokenStream {
    let Enum { block, ident, .. } = commands;
    let Block { runtime, aggregate, .. } = block;
    let private = runtime.private();
    // The bound leaves it to `EventSourced` to report that the type is no aggregate.
    quote! {
        #[automatically_derived]
        impl #runtime::Commanded for #aggregate
        where
            for<'__a> #aggregate: #runtime::EventSourced,
        {
            type Command = #ident;

            fn show(&self) -> #runtime::runtime::AnyState {
                #[allow(unused_imports)]
                use #private::{NoJson as _, NoText as _, ShownJson as _, ShownText as _};
                #private::state((&&#private::shown(self)).text(), (&&#private::shown(self)).json())
            }
        }
    }
}
