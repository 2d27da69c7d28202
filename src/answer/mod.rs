//! WHAT COMES BACK: what an answer says is made right for a caller who came by this proxy. Pure.

pub mod links;
pub mod verdict;
