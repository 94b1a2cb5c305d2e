use proc_macro2::TokenStream;
use quote::quote;

use super::model::Aggregate;
use super::snapshot::Snapshot;

pub(crate) fn aggregate(aggregate: &Aggregate) -> TokenStream {
    let Aggregate {
        runtime, ident, name, ..
    } = aggregate;
    let id = match &aggregate.id {
        Some(id) => quote!(#id),
        None => quote!(#runtime::Id<Self>),
    };
    let key = aggregate.own_key().map(|key| {
        quote! {
            #[automatically_derived]
            impl #runtime::Key for #key {
                type Aggregate = #ident;

                fn stream_id(&self) -> #runtime::StreamId {
                    #runtime::__private::stream_id::<#ident>(self)
                }
            }
        }
    });
    let fingerprint = fingerprint(aggregate);
    let snapshots = aggregate
        .snapshot
        .as_ref()
        .map(|snapshot| snapshots(aggregate, snapshot));
    let has_snapshots = snapshots.is_some().then(|| {
        quote! {
            #[automatically_derived]
            impl #runtime::HasSnapshots for #ident {}
        }
    });
    let mut this = ident.clone();
    if let Some(place) = aggregate.unshared {
        this.set_span(ident.span().located_at(place));
    }
    quote! {
        #[automatically_derived]
        impl #runtime::Aggregate for #this {
            const NAME: &'static str = #name;
            #fingerprint
            #snapshots
            type Id = #id;
        }

        #has_snapshots

        #key
    }
}

/// When snapshots are written, and how. What asks for a stored form of the state stands at the word in the attribute.
fn snapshots(aggregate: &Aggregate, snapshot: &Snapshot) -> TokenStream {
    let Aggregate { runtime, ident, .. } = aggregate;
    let private = runtime.private();
    let every = snapshot.every.map(|every| quote!(.every(#every)));
    let after = snapshot.after.map(|after| quote!(.after_millis(#after)));
    let version = snapshot.version.map(|version| quote!(.version(#version)));
    let mut this = ident.clone();
    this.set_span(ident.span().located_at(snapshot.word.span()));
    quote! {
        const SNAPSHOTS: ::core::option::Option<#runtime::SnapshotPolicy<Self>> = {
            #[allow(unused_imports)]
            use #private::{NotPlain as _, snapshot_policy};
            ::core::option::Option::Some(
                snapshot_policy::<#this>(|seen| #private::PlainOf::<#ident>::is_plain(seen)) #every #after #version
            )
        };
    }
}

/// That of the fields as they are written, mixed with those of the values that they hold.
fn fingerprint(aggregate: &Aggregate) -> TokenStream {
    let private = aggregate.runtime.private();
    let own = aggregate.shape.fingerprint();
    let types = &aggregate.shape.types;
    if types.is_empty() {
        return quote!(const FINGERPRINT: u64 = #own;);
    }
    quote! {
        const FINGERPRINT: u64 = {
            #[allow(unused_imports)]
            use #private::NoShape as _;
            #private::fingerprint(#own, &[#(#private::ShapeOf::<#types>::FINGERPRINT),*])
        };
    }
}
