//! J: what is stored comes back as the same value.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use es_runtime::store::{Append, AppendError, Appended};
use es_runtime::{
    AppendId, DecodeError, EncodeError, EventEnum as _, EventId, ExecuteError, ExpectedVersion, NewEvent,
    RecordedEvent, Runtime, StreamId, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Capability;
use crate::check::{Among, Checked, Stop, holds, present, refused, same};
use crate::domain::{Entry, Value, keeper};
use crate::idempotency::key;
use crate::sample::{event, given, stream, with_payload};
use crate::subject::{Store, Subject};

/// The runtime over the store.
async fn runtime(subject: &Subject<'_>) -> Checked<Runtime> {
    Ok(Runtime::builder(subject.open().await.0).cache(0).start().await?)
}

/// Appends the value as an event.
async fn keep<T: Value>(
    runtime: &Runtime,
    id: &str,
    value: T,
) -> Result<es_runtime::Receipt, ExecuteError<std::convert::Infallible>> {
    runtime.append(keeper::<T>(id), Entry::First(value)).await
}

/// Appends the value as an event, and loads it again.
async fn through_store<T: Value>(runtime: &Runtime, id: &str, value: T) -> Checked<T> {
    let kept = keep(runtime, id, value).await;
    kept.map_err(|error| Stop::broken("an event that is appended", "success", format_args!("{error:?}")))?;
    loaded(runtime, id).await
}

async fn loaded<T: Value>(runtime: &Runtime, id: &str) -> Checked<T> {
    let loaded = runtime.load(keeper::<T>(id)).await;
    let loaded =
        loaded.map_err(|error| Stop::broken("an aggregate that is loaded", "success", format_args!("{error:?}")))?;
    let keeper = present("the aggregate", loaded)?;
    present("its event", keeper.state.kept.into_iter().next())
}

#[track_caller]
fn itself<T: PartialEq + Debug>(came: T, expected: T) -> Checked {
    same("the value that is loaded", came, expected)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Integers {
    unsigned: u64,
    signed: i64,
    many: Vec<Option<u64>>,
}

pub(crate) async fn j01_u64_i64_extremes_round_trip(subject: &Subject<'_>) -> Checked {
    const EXACT_IN_A_DOUBLE: u64 = 1 << 53;
    let runtime = runtime(subject).await?;
    let unsigned = [
        0,
        1,
        EXACT_IN_A_DOUBLE - 1,
        EXACT_IN_A_DOUBLE + 1,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX,
    ];
    let signed = [i64::MIN, i64::MIN + 1, -(1 << 53) - 1, -1, 0, (1 << 53) + 1, i64::MAX];
    for (number, (unsigned, signed)) in unsigned.into_iter().zip(signed).enumerate() {
        let value = Integers {
            unsigned,
            signed,
            many: vec![None, Some(unsigned)],
        };
        itself(
            through_store(&runtime, &number.to_string(), value.clone()).await?,
            value,
        )?;
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wide {
    unsigned: u128,
    signed: i128,
    /// A decimal as one keeps it exactly: its digits as text.
    decimal: String,
}

pub(crate) async fn j02_u128_and_decimal_round_trip(subject: &Subject<'_>) -> Checked {
    let runtime = runtime(subject).await?;
    let values = [
        (0, 0),
        (u128::MAX, i128::MIN),
        (u128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1),
    ];
    for (number, (unsigned, signed)) in values.into_iter().enumerate() {
        let value = Wide {
            unsigned,
            signed,
            decimal: "12345678901234567890.123456789012345678900".to_owned(),
        };
        itself(
            through_store(&runtime, &number.to_string(), value.clone()).await?,
            value,
        )?;
    }
    for number in [0, 7, u128::from(u64::MAX), u128::from(u64::MAX) + 1, u128::MAX] {
        equal_or_refused(&runtime, WideStyle::External(number)).await?;
        equal_or_refused(&runtime, WideTagged::Struct { unsigned: number }).await?;
        equal_or_refused(&runtime, WideUntagged::Wide(number)).await?;
        equal_or_refused(&runtime, vec![Some(BTreeMap::from([(number, number)]))]).await?;
        let inner = WideInner { unsigned: number };
        equal_or_refused(&runtime, WideFlattened { inner }).await?;
    }
    // Whatever serde_json keeps of such numbers, it comes back.
    for text in [
        "1.10",
        "340282366920938463463374607431768211456",
        "0.1234567890123456789",
        "1e400",
        "-0",
    ] {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
            equal_or_refused(&runtime, value.clone()).await?;
            equal_or_refused(&runtime, Buffered::Value { value }).await?;
        }
    }
    Ok(())
}

/// The value must be loaded as it was appended, or be refused when it is.
async fn equal_or_refused<T: Value>(runtime: &Runtime, value: T) -> Checked {
    let id = Uuid::now_v7().to_string();
    match keep(runtime, &id, value.clone()).await {
        Err(ExecuteError::Encode(_)) => {
            let version = runtime.store().version(&StreamId::new("keeper", id)).await?;
            same(
                format_args!("the version of the stream after {value:?} was refused"),
                version,
                Version::ZERO,
            )
        }
        kept => {
            kept.map_err(|error| Stop::broken(format_args!("{value:?}"), "success", format_args!("{error:?}")))?;
            itself(loaded(runtime, &id).await?, value)
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum WideStyle {
    External(u128),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum WideTagged {
    Struct { unsigned: u128 },
}

/// If the wide one cannot be read, the float must not be taken for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum WideUntagged {
    Wide(u128),
    Float(f64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WideFlattened {
    #[serde(flatten)]
    inner: WideInner,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WideInner {
    unsigned: u128,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Buffered {
    Value { value: serde_json::Value },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Floats {
    double: f64,
    single: f32,
}

impl Floats {
    fn bits(&self) -> (u64, u32) {
        (self.double.to_bits(), self.single.to_bits())
    }
}

pub(crate) async fn j03_floats_round_trip_bits(subject: &Subject<'_>) -> Checked {
    let runtime = runtime(subject).await?;
    let mut random = subject.random();
    let doubles = [
        0.0,
        -0.0,
        0.1,
        1.0,
        1e23,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        f64::EPSILON,
        2e53 + 2.0,
    ];
    let singles = [
        0.0,
        -0.0,
        0.1,
        1.0,
        1e23,
        1e-45,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        f32::EPSILON,
        16_777_217.0,
    ];
    let chosen = doubles
        .into_iter()
        .zip(singles)
        .map(|(double, single)| Floats { double, single });
    let any = std::iter::from_fn(|| {
        Some(Floats {
            double: f64::from_bits(random.any()),
            single: f32::from_bits((random.any() >> 32) as u32),
        })
    });
    let any = any.filter(|floats| floats.double.is_finite() && floats.single.is_finite());
    let values: Vec<Floats> = chosen.chain(any.take(2_000)).collect();
    let bits: Vec<_> = values.iter().map(Floats::bits).collect();
    let came = through_store(&runtime, "floats", values).await?;
    itself(came.iter().map(Floats::bits).collect::<Vec<_>>(), bits)?;

    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        not_encoded(&runtime, wrong).await?;
        let wrong = f64::from(wrong);
        not_encoded(&runtime, wrong).await?;
        not_encoded(&runtime, vec![Some((1.0, wrong))]).await?;
        not_encoded(
            &runtime,
            BTreeMap::from([("a", wrong)].map(|(name, value)| (name.to_owned(), value))),
        )
        .await?;
        not_encoded(&runtime, Tagged::Float { value: wrong }).await?;
        not_encoded(&runtime, Untagged::Float(wrong)).await?;
    }
    same(
        "the log after the refused ones",
        subject.open().await.check_log().await?.len(),
        1,
    )
}

/// The value must be refused while it is encoded, and the error must name the event.
async fn not_encoded<T: Value>(runtime: &Runtime, value: T) -> Checked {
    let shown = format!("{value:?}");
    let result = keep(runtime, "refused", value).await;
    let right = matches!(&result, Err(ExecuteError::Encode(EncodeError::Value { name, .. })) if *name == "first" || *name == "kept");
    holds(
        right,
        format_args!("an event that holds {shown}"),
        "an error that says that it has no stored form",
        result,
    )
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum External {
    Unit,
    Newtype(u64),
    Tuple(i64, f64),
    Struct { value: u64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Unit,
    Struct { unsigned: u64, signed: i64 },
    Float { value: f64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
enum Adjacent {
    Unit,
    Newtype(u64),
    Tuple(i64, f64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Integer(u64),
    Negative(i64),
    Float(f64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    own: u64,
    #[serde(flatten)]
    inner: Integers,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Styles {
    external: Vec<External>,
    tagged: Vec<Tagged>,
    adjacent: Vec<Adjacent>,
    untagged: Vec<Untagged>,
    flattened: Flattened,
}

pub(crate) async fn j05_tagged_and_flattened_under_feature_matrix(subject: &Subject<'_>) -> Checked {
    let runtime = runtime(subject).await?;
    let value = Styles {
        external: vec![
            External::Unit,
            External::Newtype(u64::MAX),
            External::Tuple(i64::MIN, -0.5),
            External::Struct { value: u64::MAX },
        ],
        tagged: vec![
            Tagged::Unit,
            Tagged::Struct {
                unsigned: u64::MAX,
                signed: i64::MIN,
            },
            Tagged::Float { value: 0.1 },
        ],
        adjacent: vec![
            Adjacent::Unit,
            Adjacent::Newtype(u64::MAX),
            Adjacent::Tuple(i64::MIN, 0.1),
        ],
        untagged: vec![
            Untagged::Integer(u64::MAX),
            Untagged::Negative(i64::MIN),
            Untagged::Float(0.1),
            Untagged::Text("1".to_owned()),
        ],
        flattened: Flattened {
            own: u64::MAX,
            inner: Integers {
                unsigned: u64::MAX,
                signed: i64::MIN,
                many: vec![Some(u64::MAX), None],
            },
            rest: BTreeMap::from([("other".to_owned(), u64::MAX)]),
        },
    };
    itself(through_store(&runtime, "styles", value.clone()).await?, value)?;

    let mut random = subject.random();
    let doubles = [0.0, -0.0, 1.0, 1e15, 1e16, 1e23, -1.5e-9, 5e-324, f64::MAX];
    let any = std::iter::from_fn(|| Some(f64::from_bits(random.any())));
    let doubles: Vec<f64> = doubles
        .into_iter()
        .chain(any.filter(|double| double.is_finite()).take(1_000))
        .collect();
    let tagged: Vec<Tagged> = doubles.iter().map(|value| Tagged::Float { value: *value }).collect();
    itself(through_store(&runtime, "tagged", tagged.clone()).await?, tagged)?;
    let any = std::iter::from_fn(|| Some(f32::from_bits((random.any() >> 32) as u32)));
    let singles: Vec<Single> = [0.0, -0.0, 1e15, 1e16, 1e23, 1e-45, f32::MAX]
        .into_iter()
        .chain(any.filter(|single| single.is_finite()).take(1_000))
        .map(|value| Single::Value { value })
        .collect();
    itself(through_store(&runtime, "single", singles.clone()).await?, singles)?;
    let flattened: Vec<FlatFloats> = doubles
        .iter()
        .map(|double| FlatFloats {
            rest: BTreeMap::from([("double".to_owned(), *double)]),
        })
        .collect();
    itself(
        through_store(&runtime, "flattened", flattened.clone()).await?,
        flattened,
    )
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Single {
    Value { value: f32 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FlatFloats {
    #[serde(flatten)]
    rest: BTreeMap<String, f64>,
}

pub(crate) async fn j06_nul_in_strings(subject: &Subject<'_>) -> Checked {
    let runtime = runtime(subject).await?;
    for (number, text) in ["\0", "a\0b", "\0\0", "end\0", "\\0", "\\u0000"]
        .into_iter()
        .enumerate()
    {
        itself(
            through_store(&runtime, &number.to_string(), text.to_owned()).await?,
            text.to_owned(),
        )?;
    }
    let store = subject.open().await;
    for (what, spoil) in NULS {
        let append = with_nul(what, spoil);
        kept_or_refused(&store, append)
            .await
            .among(format_args!("NUL in {what}"))?;
    }
    for (what, spoil) in NULS_IN_NAMES {
        let append = with_nul(what, spoil);
        refused_beside_a_neighbour(&store, append)
            .await
            .among(format_args!("NUL in {what}"))?;
    }
    Ok(())
}

fn with_nul(what: &str, spoil: fn(&mut Append)) -> Append {
    let events = vec![event(0), event(1), event(2)];
    let mut append = Append::new(stream(what), ExpectedVersion::NoStream, events);
    append.key = Some(key(what, 1));
    spoil(&mut append);
    append
}

/// Puts a NUL into a part of an append.
type Nul = (&'static str, fn(&mut Append));

const NULS: [Nul; 2] = [
    ("the raw payload", |append| {
        append.streams[0].events[1].payload = Bytes::from_static(b"\"a\0b\"");
    }),
    ("the metadata", |append| {
        append.streams[0].events[1].metadata.set_actor("a\0b");
    }),
];

const NULS_IN_NAMES: [Nul; 4] = [
    ("an event's name", |append| {
        append.streams[0].events[1].name = "a\0b".into();
    }),
    ("the stream's id", |append| {
        append.streams[0].stream = stream("a\0b");
    }),
    ("the category", |append| {
        append.streams[0].stream = StreamId::new("a\0b", "a");
    }),
    ("the idempotency key", |append| {
        append.key = Some(key("a\0b", 1));
    }),
];

/// Stored as it was given, or refused as invalid; in no case may a neighbour fail.
async fn kept_or_refused(store: &Store, append: Append) -> Checked {
    let (result, stored) = beside_a_neighbour(store, &append).await?;
    match result {
        Err(AppendError::Invalid { .. }) => same("what is stored of it", stored, (Vec::new(), false)),
        result => {
            result?;
            same("what is stored", stored, (append.streams[0].events.clone(), true))
        }
    }
}

/// Refused as invalid, the same in every store.
async fn refused_beside_a_neighbour(store: &Store, append: Append) -> Checked {
    let (result, stored) = beside_a_neighbour(store, &append).await?;
    refused("an append with it", result, "Invalid", |error| {
        matches!(error, AppendError::Invalid { .. })
    })?;
    same("what is stored of it", stored, (Vec::new(), false))
}

/// Appends next to a neighbour, and returns the outcome, the stored events, and whether the key is stored.
async fn beside_a_neighbour(
    store: &Store,
    append: &Append,
) -> Checked<(Result<Appended, AppendError>, (Vec<NewEvent>, bool))> {
    let neighbour = Append::new(stream("neighbour"), ExpectedVersion::Any, vec![event(9)]);
    let (result, neighbour) = tokio::join!(store.append(append.clone()), store.append(neighbour));
    neighbour?;
    let stored = store.events_of(&append.streams[0].stream).await?;
    let is_keyed = match &append.key {
        Some(key) => store.find_key(&key.key).await?.is_some(),
        None => false,
    };
    Ok((result, (stored.iter().map(given).collect(), is_keyed)))
}

pub(crate) async fn j07_lone_surrogates_refused_early(subject: &Subject<'_>) -> Checked {
    // A Rust string cannot hold one. It can come in as JSON, escaped or as bytes that are no UTF-8.
    let lone: [&[u8]; 4] = [
        br#""\ud800""#,
        br#""a\udfffb""#,
        br#""\udc00\ud800""#,
        b"\"\xed\xa0\x80\"",
    ];
    for json in lone {
        let shown = String::from_utf8_lossy(json).into_owned();
        let text = serde_json::from_slice::<String>(json);
        holds(text.is_err(), format_args!("a request with {shown}"), "an error", text)?;
        let decoded = Entry::<String>::decode("first", 1, json);
        let right = matches!(decoded, Err(DecodeError::Malformed(_)));
        holds(right, format_args!("a payload {shown}"), "Malformed", decoded)?;
    }
    let pair = through_store(&runtime(subject).await?, "pair", "\u{1f600}\u{10ffff}".to_owned()).await?;
    itself(pair, "\u{1f600}\u{10ffff}".to_owned())
}

pub(crate) async fn j08_unicode_is_untouched(subject: &Subject<'_>) -> Checked {
    let texts = [
        "\u{e9} e\u{301}",
        "\u{202e}right to left\u{202c} \u{200f}\u{2066}x\u{2069}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{10ffff}",
        "\u{feff}mark \u{fffd} \u{ffff} \u{2028}\u{2029}",
        "\u{7f}\u{80}\u{85}\t\r\n\u{1}\u{1f}",
        "\u{fb01} \u{212b} \u{1e9e} \u{130}",
    ];
    let runtime = runtime(subject).await?;
    let store = subject.open().await;
    for text in texts {
        itself(through_store(&runtime, text, text.to_owned()).await?, text.to_owned())?;
        let mut sent = event(0);
        sent.name = text.to_owned().into();
        sent.metadata.set_actor(text);
        sent.metadata.set(text, text);
        let target = StreamId::new(text.to_owned(), text);
        store
            .put(&target, ExpectedVersion::NoStream, vec![sent.clone()])
            .await?;
        let stored = store.events_of(&target).await?;
        same("the event", stored.iter().map(given).collect::<Vec<_>>(), vec![sent])?;
        same("its stream", &stored[0].stream, &target)?;
    }
    Ok(())
}

pub(crate) async fn j09_payload_bytes_are_exact(subject: &Subject<'_>) -> Checked {
    let json: [&[u8]; 9] = [
        br#"{"b":1,"a":2,"b":3}"#,
        b" { \"a\" : [ 1 , 2 ] }\r\n\t ",
        b"1.0",
        b"1e2",
        b"100000000000000000000000000000000000000001",
        b"-0",
        br#""\u0041\/\u00e9""#,
        b"null",
        b"[]",
    ];
    let other: [&[u8]; 5] = [b"", b"\0", b"\xff\xfe\x00", b"not json", b"\x1f\x8b\x08"];
    let all: Vec<u8> = (0..=255).collect();
    let other = other.into_iter().chain([&all[..]]);
    let store = subject.open().await;
    let kept: Vec<&[u8]> = if subject.offers(Capability::AnyPayload) {
        json.into_iter().chain(other).collect()
    } else {
        for payload in other {
            let result = store
                .put(&stream("a"), ExpectedVersion::Any, vec![with_payload(payload.to_vec())])
                .await;
            refused("an append of a payload that is not JSON", result, "Invalid", |error| {
                matches!(error, AppendError::Invalid { .. })
            })?;
        }
        json.to_vec()
    };
    let sent: Vec<NewEvent> = kept.into_iter().map(|payload| with_payload(payload.to_vec())).collect();
    store.put(&stream("a"), ExpectedVersion::NoStream, sent.clone()).await?;
    let payloads: Vec<_> = sent.into_iter().map(|event| event.payload).collect();
    for stored in [store.events_of(&stream("a")).await?, store.log().await?] {
        same(
            "the payloads",
            stored.into_iter().map(|event| event.payload).collect(),
            payloads.clone(),
        )?;
    }
    Ok(())
}

pub(crate) async fn j15_timestamps_microsecond_and_range(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let times = [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "2026-11-21T09:30:00.000001Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    for text in times {
        let time: Timestamp = text
            .parse()
            .map_err(|error| Stop::broken(format_args!("the time {text}"), "to be read", error))?;
        same("the text of the time", time.to_string(), text.to_owned())?;
        let mut sent = event(0);
        sent.metadata.set_occurred_at(time);
        store.put(&stream(text), ExpectedVersion::NoStream, vec![sent]).await?;
        let stored = store.events_of(&stream(text)).await?;
        same("the time that comes back", stored[0].metadata.occurred_at(), Some(time))?;
    }
    for text in [
        "2016-12-31T23:59:60Z",
        "10000-01-01T00:00:00Z",
        "0000-12-31T23:59:59Z",
        "-0001-01-01T00:00:00Z",
    ] {
        let parsed = text.parse::<Timestamp>();
        holds(
            parsed.is_err(),
            format_args!("the time {text}"),
            "to be refused",
            parsed,
        )?;
    }
    same_time_everywhere(&store).await
}

/// `recorded_at` is the same in the receipt, in the stream and in the log, and for all events of an append.
async fn same_time_everywhere(store: &Store) -> Checked {
    let appended = store
        .put(&stream("b"), ExpectedVersion::Any, vec![event(0), event(1)])
        .await?;
    let times = |events: Vec<RecordedEvent>| events.iter().map(|event| event.recorded_at).collect::<Vec<_>>();
    let in_stream = times(store.events_of(&stream("b")).await?);
    same("`recorded_at` in the stream", in_stream, vec![appended.recorded_at; 2])?;
    let mut in_log = times(store.log().await?);
    let in_log = in_log.split_off(in_log.len() - 2);
    same("`recorded_at` in the log", in_log, vec![appended.recorded_at; 2])
}

pub(crate) async fn j16_ids_are_opaque(subject: &Subject<'_>) -> Checked {
    let ids = [
        Uuid::nil(),
        Uuid::max(),
        Uuid::from_u128(1),
        // One of version 1, 4, 5, 7, 8 each, and one of another variant.
        Uuid::from_u128(0xc232_ab00_9414_11ec_b3c8_9f6b_dece_d846),
        Uuid::from_u128(0x9191_08f7_52d1_4320_9bac_f847_db41_48a8),
        Uuid::from_u128(0x2ed6_657d_e927_568b_95e1_2665_a8ae_a6a2),
        Uuid::from_u128(0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f),
        Uuid::from_u128(0x2489_e9ad_2ee2_8e00_8ec9_32d5_f691_81c0),
        Uuid::from_u128(0x0000_0000_0000_0000_ffff_ffff_ffff_ffff),
    ];
    let store = subject.open().await;
    for (number, id) in ids.into_iter().enumerate() {
        let own = stream(&number.to_string());
        let mut append = Append::new(own.clone(), ExpectedVersion::NoStream, vec![event(0)]);
        append.id = AppendId(id);
        append.streams[0].events[0].id = EventId(id);
        append.key = Some(es_runtime::store::IdempotencyKey {
            key: number.to_string(),
            fingerprint: id,
        });
        let appended = store.append(append.clone()).await?;
        same("the append's id in the receipt", appended.id, AppendId(id))?;
        same("whether its id was taken for another", appended.repeated, false)?;
        same("the event's id", store.events_of(&own).await?[0].id, EventId(id))?;
        let repeated = store.append(append).await?;
        same("whether the same append is recognised", repeated.repeated, true)?;
        let record = present(
            "what is stored under its key",
            store.find_key(&number.to_string()).await?,
        )?;
        same("the fingerprint", record.fingerprint, id)?;
    }
    same("the number of stored events", store.check_log().await?.len(), ids.len())
}
