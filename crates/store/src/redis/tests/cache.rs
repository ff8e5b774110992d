//! The shared cache on one server: the suite.

use super::support::OnOneServer;
use crate::shared::conformance::shared_cache_suite;

shared_cache_suite!(OnOneServer::start);
