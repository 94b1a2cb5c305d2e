/// `full` if the environment has `ES_TEST_SCALE=full`, else `quick`: how long the loops are in which luck plays a part.
pub(crate) fn scaled<T>(quick: T, full: T) -> T {
    match std::env::var("ES_TEST_SCALE").as_deref() {
        Ok("full") => full,
        _ => quick,
    }
}
