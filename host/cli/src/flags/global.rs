//! The flags that every client command has.

use super::Flag;

/// How to reach the server and what to send along.
pub(crate) const HTTP: &[Flag] = &[
    Flag::text("address", "Address of the server, such as http://127.0.0.1:8200 or unix:///run/bulkhead.sock. The default is https://127.0.0.1:8200.").env("ADDR"),
    Flag::text("agent-address", "Address of an agent to go through; takes precedence over -address.").env("AGENT_ADDR"),
    Flag::text("ca-cert", "File with the CA certificates (PEM) that vouch for the server. Takes precedence over -ca-path.").env("CACERT"),
    Flag::text("ca-path", "Directory with CA certificates (PEM) that vouch for the server.").env("CAPATH"),
    Flag::text("client-cert", "File with the certificate (PEM) to show to the server; needs -client-key.").env("CLIENT_CERT"),
    Flag::text("client-key", "File with the private key (PEM) that belongs to -client-cert.").env("CLIENT_KEY"),
    Flag::switch("disable-redirects", "Treat a redirect as the answer instead of following it.").env("DISABLE_REDIRECTS"),
    Flag::pairs("header", "Header to add to every request, as name=value; names that begin with X-Vault- are refused."),
    Flag::list("mfa", "Passcode for a second factor, as METHOD:PASSCODE, for the X-Vault-MFA header of a login.").env("MFA"),
    Flag::text("namespace", "Namespace to work in, such as team/app; paths are then relative to it. The default is the root.").alias("ns").env("NAMESPACE"),
    Flag::switch("non-interactive", "Never ask on the terminal and never read stdin."),
    Flag::switch("output-curl-string", "Print the request as a curl command line instead of sending it."),
    Flag::switch("output-policy", "Print a policy that would allow the request instead of sending it."),
    Flag::switch("policy-override", "Ask to override soft-mandatory policies; a Bulkhead server has none."),
    Flag::text("tls-server-name", "Name to expect in the server's certificate, and to send as SNI.").env("TLS_SERVER_NAME"),
    Flag::switch("tls-skip-verify", "Accept any server certificate. Anyone on the way can then read and change everything.").env("SKIP_VERIFY"),
    Flag::text("unlock-key", "Key that opens a locked namespace; \"bulkhead namespace unlock\" alone sends it."),
    Flag::span("wrap-ttl", "Ask for the answer wrapped in a single-use token that lives this long; \"bulkhead unwrap\" opens it.").env("WRAP_TTL"),
];

/// Print one field only.
pub(crate) const FIELD: Flag =
    Flag::text("field", "Print only this field, without a newline at the end when the output is not a terminal.");

/// How to print.
pub(crate) const FORMAT: Flag = Flag::text(
    "format",
    "How to print: \"table\" (the default), \"json\" or \"yaml\"; \"raw\" for \"bulkhead read\" alone.",
)
.env("FORMAT");

/// Print more columns of a list.
pub(crate) const DETAILED: Flag =
    Flag::switch("detailed", "Print what the server knows about each entry besides its name.").env("DETAILED");
