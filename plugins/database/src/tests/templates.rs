//! What the documentation says of templates is so.

use bulkhead_sdk::bench::within;
use bulkhead_sdk::template::Template;

const README: &str = include_str!("../../README.md");

/// All functions that there are. One that is missing here is not defined, or not documented.
const FUNCTIONS: [&str; 14] = [
    "base64",
    "hex",
    "lowercase",
    "printf",
    "random",
    "replace",
    "sha256",
    "timestamp",
    "truncate",
    "truncate_sha256",
    "unix_time",
    "unix_time_millis",
    "uppercase",
    "uuid",
];

/// The texts in a cell that stand as code.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(|text| text.replace("\\|", "|")).collect()
}

fn rendered(template: &str) -> String {
    within(|cx| {
        Template::parse(template).unwrap().render(cx, &[("DisplayName", "token"), ("RoleName", "app")]).unwrap()
    })
}

#[test]
fn every_function_is_documented_with_an_example_that_gives_what_it_says() {
    let section = README.split("## Templates of names").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut documented = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [functions, example, gives] = cells[..] else { panic!("{row}") };
        documented.extend(code(functions).iter().map(|text| text.split(' ').next().unwrap().to_owned()));
        let (template, expected) = (code(example).remove(0), code(gives).pop());
        let came = rendered(&template);
        match (template.as_str(), expected) {
            ("{{random 8}}", Some(expected)) => assert_eq!(came.len(), expected.len()),
            (t, Some(expected)) if t.contains("truncate_sha256") => {
                assert!(came.starts_with(&expected) && came.len() == 10, "{came}");
            }
            ("{{uuid}}", _) => assert_eq!(came.len(), 36),
            (t, None) if t.contains("sha256") => assert_eq!(came.len(), 64),
            (t, expected) => assert_eq!(Some(came), expected, "{t}"),
        }
    }
    documented.sort();
    assert_eq!(documented, FUNCTIONS);
    for name in FUNCTIONS {
        let told = Template::parse(&format!("{{{{{name} \"\"}}}}"));
        assert!(told.is_ok(), "{name} is not there");
    }
}

#[test]
fn the_longer_example_is_one() {
    let section = README.split("## Templates of names").nth(1).unwrap();
    let begin = section.find("`{{ printf").unwrap() + 1;
    let template = section[begin..].split('`').next().unwrap().replace('\n', " ");
    let name = rendered(&template);
    assert!(name.starts_with("v-token-") && name.len() == 28, "{name}");
}
