//! `operator raft …`, `operator members`, `operator step-down`: the nodes of a cluster.

use serde_json::{Map, Value, json};

use crate::client::Call;
use crate::commands::{Command, Group, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::output::{sorted, table};
use crate::session::Session;

pub(in crate::commands) const GROUP: Group = Group {
    words: "operator raft",
    about: "Look after the nodes of a cluster",
    help: "Who belongs to the cluster, and how it is.\n\nList the nodes:\n\n    $ bulkhead operator raft list-peers",
};

pub(in crate::commands) const AUTOPILOT_GROUP: Group = Group {
    words: "operator raft autopilot",
    about: "See how the cluster is, and when its members are changed",
    help: "The autopilot makes nodes voters, and removes those that are long gone.\n\nSee how the cluster is:\n\n    $ bulkhead operator raft autopilot state",
};

pub(in crate::commands) const LIST_PEERS: Command = Command {
    words: "operator raft list-peers",
    about: "List the nodes of the cluster",
    usage: "[options]",
    help: "Lists the members of the cluster, with the addresses they reach each other on.\n\nList them:\n\n    $ bulkhead operator raft list-peers",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: list_peers,
};

pub(in crate::commands) const JOIN: Command = Command {
    words: "operator raft join",
    about: "Have a node join a cluster",
    usage: "[options] [ADDRESS]",
    help: "Has the server that is asked join the cluster of another one: without ADDRESS, that of its\nown config. It is a member once it was unsealed with that cluster's key shares.\n\nJoin a cluster:\n\n    $ bulkhead operator raft join https://10.0.0.5:8200",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[
        Flag::text("leader-ca-cert", "Who vouches for the other server's certificate: PEM, or a file as @file."),
        Flag::text("leader-client-cert", "A certificate to show it: PEM, or a file as @file."),
        Flag::text("leader-client-key", "The key of that certificate: PEM, or a file as @file."),
        Flag::switch("retry", "Ask for it to be tried again; a server does so by retry_join in its config alone."),
        Flag::switch("non-voter", "The node never votes: it holds a copy, and serves reads."),
    ],
    run: join,
};

pub(in crate::commands) const REMOVE_PEER: Command = Command {
    words: "operator raft remove-peer",
    about: "Take a node out of the cluster",
    usage: "[options] NODE-ID",
    help: "Takes a node out of the cluster. What it holds stays on it, unread.\n\nTake one out:\n\n    $ bulkhead operator raft remove-peer node1",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: remove_peer,
};

pub(in crate::commands) const PROMOTE: Command = Command {
    words: "operator raft promote",
    about: "Make a node that never voted a voter",
    usage: "[options] NODE-ID",
    help: "Lets a node vote that joined as one that never does. It votes once it has caught up.\n\nLet one vote:\n\n    $ bulkhead operator raft promote node1",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: promote,
};

pub(in crate::commands) const DEMOTE: Command = Command {
    words: "operator raft demote",
    about: "Make a voter a node that never votes",
    usage: "[options] NODE-ID",
    help: "Takes a node its vote. It keeps its copy up to date, and serves reads.\n\nLet one vote no more:\n\n    $ bulkhead operator raft demote node1",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: demote,
};

pub(in crate::commands) const STATE: Command = Command {
    words: "operator raft autopilot state",
    about: "Print how the cluster is",
    usage: "[options]",
    help: "Prints which nodes are healthy, and how many may fail.\n\nPrint it:\n\n    $ bulkhead operator raft autopilot state",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: state,
};

pub(in crate::commands) const GET_CONFIG: Command = Command {
    words: "operator raft autopilot get-config",
    about: "Print the autopilot's settings",
    usage: "[options]",
    help: "Prints when nodes count as healthy, become voters or are removed.\n\nPrint the settings:\n\n    $ bulkhead operator raft autopilot get-config",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: get_config,
};

pub(in crate::commands) const SET_CONFIG: Command = Command {
    words: "operator raft autopilot set-config",
    about: "Change the autopilot's settings",
    usage: "[options]",
    help: "Changes the settings that are given, and no others.\n\nMake nodes voters sooner:\n\n    $ bulkhead operator raft autopilot set-config -server-stabilization-time=5s",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[
        Flag::text("cleanup-dead-servers", "Whether nodes that are long gone are removed: true or false."),
        Flag::text("dead-server-last-contact-threshold", "How long is long."),
        Flag::text("last-contact-threshold", "A node silent for longer is not healthy."),
        Flag::int("max-trailing-logs", "A node that lacks more entries is not healthy."),
        Flag::int("min-quorum", "Fewest voters that must be left where nodes are removed."),
        Flag::text("server-stabilization-time", "How long a node must be healthy before it votes."),
    ],
    run: set_config,
};

pub(in crate::commands) const MEMBERS: Command = Command {
    words: "operator members",
    about: "List the nodes of the cluster and their versions",
    usage: "[options]",
    help: "Lists the nodes, what they run, and which one leads.\n\nList them:\n\n    $ bulkhead operator members",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: members,
};

pub(in crate::commands) const STEP_DOWN: Command = Command {
    words: "operator step-down",
    about: "Have the leader hand over to another node",
    usage: "[options]",
    help: "Has another node lead. Needs a token with sudo on sys/step-down.\n\nHand over:\n\n    $ bulkhead operator step-down",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: step_down,
};

/// What is at a path; a server that keeps no cluster has nothing there.
fn read(session: &Session, path: &str, tried: &'static str) -> Result<Option<Map<String, Value>>, Fault> {
    let secret = session.client()?.read(path, &[]).map_err(|error| Fault::request(tried, error))?;
    Ok(secret.map(|secret| secret.data.unwrap_or_default()))
}

fn text(object: &Value, name: &str) -> String {
    object.get(name).filter(|value| !value.is_null()).map(table::plain).unwrap_or_default()
}

fn list_peers(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let tried = "Error reading the raft cluster configuration";
    let client = session.client()?;
    let secret = client.read("sys/storage/raft/configuration", &[]).map_err(|error| Fault::request(tried, error))?;
    let secret = secret.ok_or_else(|| Fault::Refused("No raft cluster configuration found".to_owned()))?;
    if !session.is_table() {
        return session.show_secret(&secret);
    }
    let data = secret.data.unwrap_or_default();
    let servers = data.get("config").and_then(|config| config.get("servers")).and_then(Value::as_array);
    let rows = servers.into_iter().flatten().map(|server| {
        let state = if server.get("leader") == Some(&json!(true)) { "leader" } else { "follower" };
        vec![text(server, "node_id"), text(server, "address"), state.to_owned(), text(server, "voter")]
    });
    session.terminal.out(&table::with_header(&["Node", "Address", "State", "Voter"], &rows.collect::<Vec<_>>()));
    Ok(0)
}

/// A flag's text, or what the file holds that it names.
fn pem(session: &Session, flag: &str) -> Result<String, Fault> {
    let given = session.flags.text(flag).unwrap_or_default();
    match given.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| Fault::Local(format!("Error reading {path}: {error}")))
        }
        None => Ok(given.to_owned()),
    }
}

fn join(session: &Session) -> Result<u8, Fault> {
    let body = json!({
        "leader_api_addr": session.at_most(1)?.first().map_or("", |address| address.trim()),
        "leader_ca_cert": pem(session, "leader-ca-cert")?,
        "leader_client_cert": pem(session, "leader-client-cert")?,
        "leader_client_key": pem(session, "leader-client-key")?,
        "non_voter": session.flags.switch("non-voter"),
        "retry": session.flags.switch("retry"),
    });
    let call = Call::new("POST", "sys/storage/raft/join").body(&body);
    let told = session
        .client()?
        .json(&call)
        .map_err(|error| Fault::request("Error joining the node to the Raft cluster", error))?;
    if !session.is_table() {
        return session.show_value(&told);
    }
    session.terminal.out(&table::with_header(&["Key", "Value"], &[vec!["Joined".to_owned(), text(&told, "joined")]]));
    Ok(0)
}

/// Tells the leader something about one node.
fn of_one(session: &Session, path: &str, tried: &'static str, done: &str) -> Result<u8, Fault> {
    let body = json!({ "server_id": session.one()?.trim() });
    session.client()?.send(&Call::new("PUT", path).body(&body)).map_err(|error| Fault::request(tried, error))?;
    session.terminal.out(done);
    Ok(0)
}

fn remove_peer(session: &Session) -> Result<u8, Fault> {
    let tried = "Error removing the peer from raft cluster";
    of_one(session, "sys/storage/raft/remove-peer", tried, "Peer removed successfully!")
}

fn promote(session: &Session) -> Result<u8, Fault> {
    of_one(session, "sys/storage/raft/promote", "Error promoting server", "Server promoted successfully!")
}

fn demote(session: &Session) -> Result<u8, Fault> {
    of_one(session, "sys/storage/raft/demote", "Error demoting server", "Server demoted successfully!")
}

fn state(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let tried = "Error checking autopilot state";
    let Some(data) = read(session, "sys/storage/raft/autopilot/state", tried)? else { return Ok(0) };
    let data = Value::Object(data);
    if !session.is_table() {
        return session.show_value(&state_value(&data));
    }
    let mut lines = vec![
        vec!["Healthy:".to_owned(), text(&data, "healthy")],
        vec!["Failure Tolerance:".to_owned(), text(&data, "failure_tolerance")],
        vec!["Leader:".to_owned(), text(&data, "leader")],
    ];
    lines.push(vec!["Voters:".to_owned(), String::new()]);
    let voters = data.get("voters").and_then(Value::as_array);
    lines.extend(voters.into_iter().flatten().map(|voter| vec![format!("   {}", table::plain(voter))]));
    lines.push(vec!["Servers:".to_owned(), String::new()]);
    for (id, server) in data.get("servers").and_then(Value::as_object).into_iter().flatten() {
        lines.push(vec![format!("   {id}")]);
        for (title, name) in [
            ("Name:", "name"),
            ("Address:", "address"),
            ("Status:", "status"),
            ("Node Status:", "node_status"),
            ("Healthy:", "healthy"),
            ("Last Contact:", "last_contact"),
            ("Last Term:", "last_term"),
            ("Last Index:", "last_index"),
            ("Version:", "version"),
            ("Node Type:", "node_type"),
        ] {
            lines.push(vec![format!("      {title}"), text(server, name)]);
        }
    }
    // What is told of a server stands in a column of its own.
    let padded = |line: &Vec<String>| match &line[..] {
        [title, value] if !value.is_empty() && title.starts_with("      ") => format!("{title:<25}{value}"),
        [title, value] if !value.is_empty() => format!("{title:<33}{value}"),
        [title, ..] => title.clone(),
        [] => String::new(),
    };
    session.terminal.out(&lines.iter().map(padded).collect::<Vec<_>>().join("\n"));
    Ok(0)
}

/// The state as the peers print it: by the names and in the order of their library.
fn state_value(data: &Value) -> Value {
    let of = |object: &Value, name: &str, absent: Value| object.get(name).cloned().unwrap_or(absent);
    let server = |(id, server): (&String, &Value)| {
        let text = |name: &str| of(server, name, json!(""));
        let told = json!({
            "ID": text("id"),
            "Name": text("name"),
            "Address": text("address"),
            "NodeStatus": text("node_status"),
            "LastContact": text("last_contact"),
            "LastTerm": of(server, "last_term", json!(0)),
            "LastIndex": of(server, "last_index", json!(0)),
            "Healthy": of(server, "healthy", json!(false)),
            "StableSince": text("stable_since"),
            "Status": text("status"),
            "Version": text("version"),
            "UpgradeVersion": text("upgrade_version"),
            "NodeType": text("node_type"),
        });
        (id.clone(), told)
    };
    let servers: Map<String, Value> =
        data.get("servers").and_then(Value::as_object).into_iter().flatten().map(server).collect();
    json!({
        "Healthy": of(data, "healthy", json!(false)),
        "FailureTolerance": of(data, "failure_tolerance", json!(0)),
        "Servers": servers,
        "Leader": of(data, "leader", json!("")),
        "Voters": of(data, "voters", Value::Null),
        "NonVoters": of(data, "non_voters", Value::Null),
        "Upgrade": of(data, "upgrade_info", Value::Null),
        "OptimisticFailureTolerance": of(data, "optimistic_failure_tolerance", json!(0)),
    })
}

fn get_config(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let tried = "Error reading the autopilot configuration";
    let Some(data) = read(session, "sys/storage/raft/autopilot/configuration", tried)? else { return Ok(0) };
    let data = sorted(&Value::Object(data));
    if !session.is_table() {
        return session.show_value(&data);
    }
    let rows = [
        ("Cleanup Dead Servers", "cleanup_dead_servers"),
        ("Last Contact Threshold", "last_contact_threshold"),
        ("Dead Server Last Contact Threshold", "dead_server_last_contact_threshold"),
        ("Server Stabilization Time", "server_stabilization_time"),
        ("Min Quorum", "min_quorum"),
        ("Max Trailing Logs", "max_trailing_logs"),
    ];
    let rows = rows.map(|(title, name)| vec![title.to_owned(), text(&data, name)]);
    session.terminal.out(&table::with_header(&["Key", "Value"], &rows));
    Ok(0)
}

fn set_config(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let mut body = Map::new();
    for flag in SET_CONFIG.flags {
        let given = match session.flags.text(flag.name) {
            Some(text) => Some(json!(text)),
            None => session.flags.int(flag.name).map(|number| json!(number)),
        };
        body.extend(given.map(|value| (flag.name.replace('-', "_"), value)));
    }
    let body = Value::Object(body);
    let call = Call::new("PUT", "sys/storage/raft/autopilot/configuration").body(&body);
    session.client()?.send(&call).map_err(|error| Fault::request("Error setting the autopilot", error))?;
    Ok(0)
}

fn members(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    let told = client.json(&Call::new("GET", "sys/ha-status"));
    let data = told.map_err(|error| Fault::request("Error reading the nodes of the cluster", error))?;
    if !session.is_table() {
        return session.show_value(&json!({ "Nodes": data.get("nodes") }));
    }
    let header =
        ["Host Name", "API Address", "Cluster Address", "Active Node", "Version", "Upgrade Version", "Last Echo"];
    let nodes = data.get("nodes").and_then(Value::as_array).into_iter().flatten();
    let rows = nodes.map(|node| {
        let of = |name: &str| text(node, name);
        vec![
            of("hostname"),
            of("api_address"),
            of("cluster_address"),
            of("active_node"),
            of("version"),
            of("upgrade_version"),
            of("last_echo"),
        ]
    });
    session.terminal.out(&table::with_header(&header, &rows.collect::<Vec<_>>()));
    Ok(0)
}

fn step_down(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    client.send(&Call::new("PUT", "sys/step-down")).map_err(|error| Fault::request("Error stepping down", error))?;
    session.terminal.out("Success! Stepped down");
    Ok(0)
}
