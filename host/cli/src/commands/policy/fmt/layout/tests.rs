use super::format;

#[test]
fn a_policy_is_laid_out_as_the_peers_do() {
    let rough = "# top comment\npath \"secret/*\" {\ncapabilities=[\"read\",\"list\"]\n   # inner\n  allowed_parameters = {\n\"a\" = []\n \"bbbb\"=[\"x\",   \"y\"]\n}\n}\npath \"sys/x\" { policy = \"deny\" }\n\n\npath \"a\" {\n  capabilities = [\n    \"read\",\n    \"list\"\n  ]\n  min_wrapping_ttl = \"1s\"\n}\n";
    let neat = "# top comment\npath \"secret/*\" {\n  capabilities = [\"read\", \"list\"]\n\n  # inner\n  allowed_parameters = {\n    \"a\"    = []\n    \"bbbb\" = [\"x\", \"y\"]\n  }\n}\n\npath \"sys/x\" {\n  policy = \"deny\"\n}\n\npath \"a\" {\n  capabilities = [\n    \"read\",\n    \"list\",\n  ]\n\n  min_wrapping_ttl = \"1s\"\n}\n";
    assert_eq!(format(rough).as_deref(), Ok(neat));
}

#[test]
fn what_is_laid_out_already_stays_as_it_is() {
    let neat = "path \"a\" {\n  capabilities = [\"read\"] # why\n  policy       = \"x\"\n}\n\n# the end\n";
    assert_eq!(format(neat).as_deref(), Ok(neat));
    assert_eq!(format("").as_deref(), Ok(""));
}

#[test]
fn brackets_and_quotes_that_do_not_match_are_errors() {
    for wrong in ["path \"a\" {", "path \"a", "a = [1", "}"] {
        assert!(format(wrong).is_err(), "{wrong} was taken");
    }
}
