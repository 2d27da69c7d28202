//! WHAT COMES BACK: an answer is judged, kept from giving the token away, and its links are pointed back here, on its way
//! to the caller. Pure: what is found is told to whoever asked.

pub mod guard;
pub mod links;
pub mod verdict;
