//! gkr
