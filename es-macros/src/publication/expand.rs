use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::block::Block;
use super::publish::Publish;
use super::target::Target;
use crate::aggregate::listed::text;

pub(super) fn target(target: &Target) -> TokenStream {
    let Target {
        runtime,
        ident,
        name,
        topic,
        version,
        source,
        on_failure,
    } = target;
    // So that only the missing topic is reported.
    let topic = topic.as_ref().map_or_else(|| quote!(""), |topic| quote!(#topic));
    let source = source
        .as_ref()
        .map(|source| quote!(const SOURCE: &'static str = #source;));
    let on_failure = on_failure.constant(runtime);
    quote! {
        #[automatically_derived]
        impl #runtime::publication::PublicationInfo for #ident {
            const NAME: &'static str = #name;
            const TOPIC: &'static str = #topic;
            const VERSION: u32 = #version;
            #source
            #on_failure
        }
    }
}

pub(super) fn block(block: &Block) -> TokenStream {
    let Block { runtime, this, .. } = block;
    let listed = block.publishes.iter().filter(|_| block.sound);
    let listed = listed.map(|publish| listed_in(block, publish));
    quote! {
        #[automatically_derived]
        impl #runtime::publication::Publication for #this {
            #[allow(unused_variables, clippy::redundant_closure)]
            fn publishes(list: &mut #runtime::publication::Publishes) {
                #(#listed)*
            }
        }
    }
}

/// The line that lists an event.
fn listed_in(block: &Block, publish: &Publish) -> TokenStream {
    let private = block.runtime.private();
    let Publish {
        method,
        event,
        takes_meta,
        key,
        names: [event_name, meta_name],
        messages,
    } = publish;
    let (cfgs, ty, span) = (&event.cfgs, &event.ty, event.variant.span());
    let key = match key {
        None => quote_spanned!(span=> |_, meta| #private::key_of_stream(meta)),
        Some(key) => {
            let key = quote_spanned!(key.span()=> #private::message_key(&(#key)));
            quote!(|#event_name, #meta_name| { let _ = (#event_name, #meta_name); #key })
        }
    };
    // The type is checked where it stands, unless only the method can name it.
    let messages = if text(messages).contains("impl ") {
        quote!(_)
    } else {
        quote_spanned!(messages.span()=> #messages)
    };
    let meta = takes_meta.then(|| quote_spanned!(span=> meta));
    let call = quote_spanned!(method.span()=> |event, meta| <Self>::#method(event, #meta));
    quote_spanned!(span=> #(#cfgs)* { list.event::<#ty, #messages>(#key, #call); })
}
