use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};

/// The treatment of an event that cannot be taken in: the value of a constant `ON_FAILURE`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum OnFailure {
    #[default]
    Hold,
    Park,
    ParkAlone,
}

impl OnFailure {
    /// Reads `park` or `park_alone`.
    pub(crate) fn read(given: &mut Option<Self>, argument: &Ident) -> syn::Result<()> {
        if given.is_some() {
            let message =
                "`park` sets aside what comes behind the event too, `park_alone` does not: keep one of the two";
            return Err(syn::Error::new(argument.span(), message));
        }
        *given = Some(if argument == "park" {
            Self::Park
        } else {
            Self::ParkAlone
        });
        Ok(())
    }

    /// The constant.
    pub(crate) fn constant(self, runtime: &impl ToTokens) -> TokenStream {
        let variant = match self {
            Self::Hold => "Hold",
            Self::Park => "Park",
            Self::ParkAlone => "ParkAlone",
        };
        let variant = Ident::new(variant, Span::call_site());
        quote!(const ON_FAILURE: #runtime::projection::OnFailure = #runtime::projection::OnFailure::#variant;)
    }
}
