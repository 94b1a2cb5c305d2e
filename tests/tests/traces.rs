//! Spans have stable names and fields, and never a payload.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use es_runtime::prelude::*;
use es_tests::bank::{Deposit, InsufficientFunds, Open, Withdraw};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id as SpanId, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down each span: its name and its fields.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<String>>);

impl Subscriber for Written {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> SpanId {
        let mut text = self.0.lock().unwrap();
        write!(text, "{}", span.metadata().name()).unwrap();
        span.record(&mut Fields(&mut text));
        text.push('\n');
        SpanId::from_u64(1)
    }

    fn record(&self, _: &SpanId, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &SpanId, _: &SpanId) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &SpanId) {}

    fn exit(&self, _: &SpanId) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "log.target" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

#[test]
fn spans_name_the_stream_and_the_command_and_hold_no_payload() {
    let written = Written::default();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let id = Id::new();
    tracing::subscriber::with_default(written.clone(), || {
        tokio.block_on(async {
            let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
            runtime.execute(id, Open { owner: "Secret".into() }).await.unwrap();
            runtime
                .execute(id, Deposit { amount: 815_815 })
                .actor("Secret")
                .await
                .unwrap();
            runtime.execute(id, Withdraw { amount: 916_916 }).await.unwrap_err();
            runtime
                .atomically(async |tx| {
                    let Ok(()) = tx.execute(id, Deposit { amount: 815_815 }).await;
                    Ok::<_, InsufficientFunds>(())
                })
                .await
                .unwrap();
            runtime.load(id).await.unwrap();
        });
    });
    let written = written.0.lock().unwrap();
    let expected = [
        format!("es.execute category=\"account\" id=\"{id}\" command=\"open\""),
        format!("es.execute category=\"account\" id=\"{id}\" command=\"deposit\""),
        format!("es.execute category=\"account\" id=\"{id}\" command=\"withdraw\""),
        "es.atomically".to_owned(),
        format!("es.load category=\"account\" id=\"{id}\""),
    ];
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
}
