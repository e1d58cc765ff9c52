//! What both sides run, and what a guest boots from.
