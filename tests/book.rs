//! What the README and the book show in `console` blocks is what a user gets.

mod harness;

use harness::can_run;
use launch::Side;

#[test]
fn examples_print_what_they_are_said_to_print() {
    let book = trycmd::TestCases::new();
    book.case("README.md").case("docs/*.md");
    if !can_run(Side::Vm) {
        // The only chapter with a VM in a block that is run.
        book.skip("docs/first-steps.md");
    }
}
