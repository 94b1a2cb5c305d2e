//! The payment of an order, which a bank accepts or declines when it likes.

use es_runtime::prelude::*;

use crate::PaymentNumber;

/// Asks for a payment.
#[command]
pub struct RequestPayment {
    /// The amount.
    pub cents: u64,
}

/// The bank has the money.
#[command]
pub struct AcceptPayment;

/// The bank does not get the money.
#[command]
pub struct DeclinePayment {
    /// The reason.
    pub why: String,
}

/// Asks no more for a payment that nobody has answered.
#[command]
pub struct WithdrawPayment;

/// Gives back what was paid.
#[command]
pub struct RefundPayment;

/// A payment was asked for.
#[event]
pub struct PaymentRequested {
    /// The amount.
    pub cents: u64,
}

/// The bank has the money.
#[event]
pub struct PaymentAccepted;

/// The bank does not get the money.
#[event]
pub struct PaymentDeclined {
    /// The reason.
    pub why: String,
}

/// Nobody asks for the payment any more.
#[event]
pub struct PaymentWithdrawn;

/// The money was given back.
#[event]
pub struct PaymentRefunded;

/// The state of a payment.
#[value]
#[derive(Copy, Eq)]
pub enum PaymentStatus {
    /// It was asked for.
    Requested,
    /// The bank has the money.
    Accepted,
    /// The bank does not get it.
    Declined,
    /// It is not asked for any more.
    Withdrawn,
    /// It was given back.
    Refunded,
}

/// A payment does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payment {payment} is {status:?}")]
pub struct PaymentRefused {
    /// The payment.
    pub payment: PaymentNumber,
    /// Its state.
    pub status: PaymentStatus,
}

/// A payment.
#[derive(Debug, Aggregate)]
#[es(name = "payment", id = PaymentNumber)]
pub struct Payment {
    status: PaymentStatus,
}

#[aggregate]
impl Payment {
    #[handle]
    fn request(cmd: RequestPayment) -> PaymentRequested {
        PaymentRequested { cents: cmd.cents }
    }

    #[handle]
    fn accept(&self, _: AcceptPayment, context: &Context) -> Result<PaymentAccepted, PaymentRefused> {
        self.is(PaymentStatus::Requested, context)?;
        Ok(PaymentAccepted)
    }

    #[handle]
    fn decline(&self, cmd: DeclinePayment, context: &Context) -> Result<PaymentDeclined, PaymentRefused> {
        self.is(PaymentStatus::Requested, context)?;
        Ok(PaymentDeclined { why: cmd.why })
    }

    #[handle]
    fn withdraw(&self, _: WithdrawPayment, context: &Context) -> Result<PaymentWithdrawn, PaymentRefused> {
        self.is(PaymentStatus::Requested, context)?;
        Ok(PaymentWithdrawn)
    }

    #[handle]
    fn refund(&self, _: RefundPayment, context: &Context) -> Result<PaymentRefunded, PaymentRefused> {
        self.is(PaymentStatus::Accepted, context)?;
        Ok(PaymentRefunded)
    }

    #[apply]
    fn requested(_: PaymentRequested) -> Self {
        Self {
            status: PaymentStatus::Requested,
        }
    }

    #[apply]
    fn accepted(&mut self, _: PaymentAccepted) {
        self.status = PaymentStatus::Accepted;
    }

    #[apply]
    fn declined(&mut self, _: PaymentDeclined) {
        self.status = PaymentStatus::Declined;
    }

    #[apply]
    fn withdrawn(&mut self, _: PaymentWithdrawn) {
        self.status = PaymentStatus::Withdrawn;
    }

    #[apply]
    fn refunded(&mut self, _: PaymentRefunded) {
        self.status = PaymentStatus::Refunded;
    }
}

impl Payment {
    fn is(&self, status: PaymentStatus, context: &Context) -> Result<(), PaymentRefused> {
        if self.status == status {
            return Ok(());
        }
        Err(PaymentRefused {
            payment: context.id::<Self>(),
            status: self.status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrderNumber;

    const NUMBER: PaymentNumber = OrderNumber::new(17).payment();

    fn refused(status: PaymentStatus) -> PaymentRefused {
        PaymentRefused {
            payment: NUMBER,
            status,
        }
    }

    #[test]
    fn a_payment_is_answered_once() {
        let requested = PaymentRequested { cents: 4_490 };
        Payment::given((requested.clone(), PaymentAccepted))
            .with_id(NUMBER)
            .when(AcceptPayment)
            .then_refused(refused(PaymentStatus::Accepted));
        Payment::given((requested, PaymentWithdrawn))
            .with_id(NUMBER)
            .when(AcceptPayment)
            .then_refused(refused(PaymentStatus::Withdrawn));
    }

    #[test]
    fn what_was_paid_is_given_back_once() {
        let paid = (PaymentRequested { cents: 4_490 }, PaymentAccepted);
        Payment::given(paid.clone()).when(RefundPayment).then(PaymentRefunded);
        Payment::given((paid.0, paid.1, PaymentRefunded))
            .with_id(NUMBER)
            .when(RefundPayment)
            .then_refused(refused(PaymentStatus::Refunded));
    }
}
