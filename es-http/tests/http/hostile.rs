//! Hostile texts in each place of a request.

use es_tests::bank::{account_with, balance};

use super::commands::bank;

const TEXTS: &[&str] = &[
    "'; DROP TABLE events; --",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a\u{0}b",
    "\u{202e}evil",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "%",
    "%00",
    "null",
    "-1",
    "1e999",
    "\u{feff}",
    "é",
    "👩‍👩‍👧‍👦",
    "\\\"",
    "a\nb",
    "a\r\nset-cookie: x=y",
];

fn encoded(text: &str) -> String {
    let bytes: Vec<_> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    bytes.concat()
}

#[tokio::test]
async fn what_a_stranger_sends_is_answered_and_does_nothing() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 20).await;
    let long = "x".repeat(5_000);
    let texts = TEXTS
        .iter()
        .map(|text| encoded(text))
        .chain([long, "%FF%FE".to_owned(), "%".to_owned()]);
    for text in texts {
        for path in [
            format!("/accounts/{text}/deposit"),
            format!("/accounts/{id}/{text}"),
            format!("/accounts/{text}"),
            format!("/{text}"),
            format!("/accounts/{id}/deposit/{text}"),
        ] {
            let answer = server.post(&path, &[], r#"{"amount": 1}"#).await;
            assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
            let kind = answer.problem();
            assert!(
                ["invalid", "malformed", "unknown-command", "not-found"].contains(&&*kind),
                "{path}: {answer:?}"
            );
            assert_eq!(answer.header("set-cookie"), None);
            assert!(answer.body.len() < 2_000, "{path}: {}", answer.body.len());
        }
    }
    for name in [
        "if-match",
        "if-none-match",
        "idempotency-key",
        "traceparent",
        "x-correlation-id",
    ] {
        for value in ["<script>", "\u{e9}", "'; --", &"\"".repeat(250), &"x".repeat(10_000)] {
            let path = format!("/accounts/{id}/audit");
            let answer = server.post(&path, &[(name, value)], "").await;
            assert!(answer.status < 500, "{name}: {value}: {answer:?}");
        }
    }
    let bodies = [
        "[".repeat(200_000),
        "{\"amount\":".repeat(50_000),
        "\u{0}".to_owned(),
        "{\"amount\":1e999}".to_owned(),
        "x".repeat(3_000_000),
    ];
    for body in bodies {
        let answer = server.post(&format!("/accounts/{id}/deposit"), &[], &body).await;
        assert!(matches!(answer.status, 400 | 413), "{answer:?}");
        assert!(answer.body.len() < 2_000);
    }
    assert_eq!(balance(&runtime, id).await, 20);
}
