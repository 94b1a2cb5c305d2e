//! Publications on a NATS server of its own for each test, which is killed and started again where that is the test.

mod killed;
mod published;
mod refused;
mod server;
