//! Operator.
fn main(){}
