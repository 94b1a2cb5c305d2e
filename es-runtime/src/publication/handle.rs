use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{Publication, Publishes, cursor_of};
use crate::StoreError;
use crate::consumer::Inputs;
use crate::store::StateStore;
use crate::subscription::{Kind, SubscriptionHandle};

/// A handle to operate a publication: [`Runtime::publication`](crate::Runtime::publication). Parked and held events are listed, tried
/// again and skipped as those of a subscription.
#[derive(Clone)]
pub struct PublicationHandle {
    subscription: SubscriptionHandle,
    /// `None` if nothing keeps what other builds publish.
    inputs: Option<Arc<Inputs>>,
}

impl PublicationHandle {
    pub(crate) fn new<P: Publication>(subscription: SubscriptionHandle, states: Option<Arc<dyn StateStore>>) -> Self {
        let reader = Kind::Publication.reader(&cursor_of::<P>());
        let inputs = states.map(|states| Arc::new(Publishes::of::<P>().inputs(&states, &reader)));
        Self { subscription, inputs }
    }

    /// Makes the events of this build all that are to be published from now on: after it has replaced one that publishes more, as when a
    /// `#[publish]` method was removed or an older build comes back. Until then it stands aside, as
    /// [`Status::Outdated`](crate::projection::Status) says in [`Runtime::health`](crate::Runtime::health); then it goes on within a
    /// minute.
    ///
    /// Events that only the other build publishes are passed over then: stop its processes first.
    pub async fn accept_fewer(&self) -> Result<(), StoreError> {
        match &self.inputs {
            Some(inputs) => inputs.accept_fewer().await,
            None => Ok(()),
        }
    }
}

/// Its parked and held events.
impl Deref for PublicationHandle {
    type Target = SubscriptionHandle;

    fn deref(&self) -> &SubscriptionHandle {
        &self.subscription
    }
}

impl fmt::Debug for PublicationHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicationHandle")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
