//! Api.
pub mod uai;
pub mod version;
