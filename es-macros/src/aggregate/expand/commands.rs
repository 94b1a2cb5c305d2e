use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};

use super::belongs;
use super::enums::Enum;
use crate::aggregate::handler::{Handler, On};
use crate::aggregate::listed::Listed;
use crate::aggregate::model::Block;

pub(super) fn expand(block: &Block) -> TokenStream {
    let commands = Enum {
        block,
        ident: block.command_enum(),
        variants: block.handlers.iter().map(|handler| &handler.command).collect(),
        noun: "command",
    };
    let definition = commands.define();
    let command_of: TokenStream = block
        .handlers
        .iter()
        .map(|handler| command_of(block, handler))
        .collect();
    let serde = serde(&commands);
    let command = command(&commands);
    quote!(#definition #command_of #serde #command)
}

fn command_of(block: &Block, handler: &Handler) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let Listed { ty, cfgs, .. } = &handler.command;
    let private = runtime.private();
    let on = match handler.on {
        On::New => quote!(#runtime::New),
        On::Existing => quote!(#runtime::Existing),
        On::Either => quote!(#runtime::Either),
    };
    let returns = with_self(handler.returns.to_token_stream(), &aggregate.to_token_stream());
    let body = body(block, handler, &returns);
    let belongs = belongs(block, &handler.command);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::CommandOf<#aggregate> for #ty {
            type On = #on;
            type Refusal = <#returns as #runtime::Outcome<#aggregate>>::Refusal;

            fn handle(
                self,
                state: <Self::On as #runtime::Target>::State<'_, #aggregate>,
                context: &#runtime::Context,
            ) -> ::core::result::Result<#private::Vec<<#aggregate as #runtime::EventSourced>::Event>, Self::Refusal> {
                #body
            }
        }

        #belongs
    }
}

fn body(block: &Block, handler: &Handler, returns: &TokenStream) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    if !block.sound {
        return quote!(#runtime::__private::after_error((self, state, context)));
    }
    let method = &handler.method;
    let state = (handler.on != On::New).then(|| quote!(state,));
    let context = handler.context.then(|| quote!(context));
    let unused = match (&state, &context) {
        (None, None) => quote!(let _ = (state, context);),
        (None, Some(_)) => quote!(let () = state;),
        (Some(_), None) => quote!(let _ = context;),
        (Some(_), Some(_)) => quote!(),
    };
    quote! {
        #unused
        <#returns as #runtime::Outcome<#aggregate>>::into_result(<#aggregate>::#method(#state self, #context))
    }
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

fn command(commands: &Enum<'_>) -> TokenStream {
    let Enum { block, ident, .. } = commands;
    let Block { runtime, aggregate, .. } = block;
    let private = runtime.private();
    let names = commands.each(|command| {
        let name = commands.name_of(command);
        quote!(#name,)
    });
    let decode = commands.each(|command| {
        let (name, ty) = (commands.name_of(command), &command.ty);
        quote!(#name => #private::decode_command::<#aggregate, #ty, Self, __D>(content),)
    });
    let check = commands.dispatch(|Listed { ty, .. }| quote!(#private::check::<#aggregate, #ty>(item)));
    let decide =
        commands.dispatch(|Listed { ty, .. }| quote!(#private::decide::<#aggregate, #ty>(item, state, context)));
    quote! {
        #[automatically_derived]
        impl #runtime::CommandEnum for #ident {
            const COMMANDS: &'static [&'static str] = &[#names];

            #[allow(unreachable_patterns)]
            fn deserialize_named<'de, __D: #private::serde::Deserializer<'de>>(
                name: &str,
                content: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                match name {
                    #decode
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
                #decide
            }
        }
    }
}
