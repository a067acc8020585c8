#!/usr/bin/env bash
# usage: wasm-target.sh TARGET
# Builds the standard library for TARGET out of Debian's source package of exactly
# the active compiler's release, and puts it into that compiler's sysroot. Needs apt
# with a reachable Debian mirror (the machine's own) and no privileges beyond writing
# to the sysroot. `cargo xtask wasm-target` runs it where rustup cannot download.
set -euo pipefail

target=${1:?which target?}
sysroot=$("${RUSTC:-rustc}" --print sysroot)
# The toolchain's own programs: rustup's stand-ins would choose another toolchain in
# the temporary folder that this builds in.
rustc=$sysroot/bin/rustc
cargo=$sysroot/bin/cargo
release=$("$rustc" --version | awk '{print $2}')

fail() { echo "wasm-target: $*" >&2; exit 1; }
for tool in apt-get apt-cache dpkg-deb; do
    command -v "$tool" >/dev/null || fail "$tool is missing: install $target by 'rustup target add $target' on a machine that can download it"
done
[ -w "$sysroot/lib/rustlib" ] || fail "cannot write to $sysroot"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The mirror this machine already uses, whatever format its source list has.
# (Either file may be absent: cat's complaint and status do not matter.)
mirror=$({ cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true; } |
    awk '!found && /^URIs:/ {found = $2} !found && /^deb / {for (i = 2; i <= NF; i++) if (!found && $i ~ /^[a-z+]+:\/\//) found = $i} END {print found}')
[ -n "$mirror" ] || fail "no Debian mirror in the machine's apt sources"

# Suites that may carry this release, in an index of our own: the machine's apt
# configuration stays as it is, and apt checks the signatures as always.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in stable-backports trixie-backports stable trixie testing forky sid; do
    echo "deb [signed-by=$keyring] $mirror $suite main"
done >"$work/sources.list"
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
options=(-q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache::Archives=$work/archives" -o APT::Get::List-Cleanup=0
    -o "APT::Sandbox::User=$(id -un)")

echo "wasm-target: looking for rust-src $release on the Debian mirror" >&2
# A suite that the mirror lacks is no obstacle as long as another has the package.
apt-get "${options[@]}" update >/dev/null 2>"$work/update.log" || true
package=$(apt-cache "${options[@]}" madison rust-src |
    awk -F'|' -v want="$release" '{gsub(/ /, "", $2); v = $2; sub(/[+~-].*/, "", v); if (!found && v == want) found = $2} END {print found}')
if [ -z "$package" ]; then
    cat "$work/update.log" >&2
    fail "Debian has no rust-src for rustc $release"
fi

echo "wasm-target: fetching rust-src=$package" >&2
(cd "$work" && apt-get "${options[@]}" download "rust-src=$package" >/dev/null)
for archive in "$work"/*.deb; do dpkg-deb -x "$archive" "$work/root"; done
library=$work/root/usr/src/rustc-$release/library
[ -d "$library" ] || fail "rust-src=$package does not hold usr/src/rustc-$release/library"

# -Zbuild-std reads the sources from the sysroot. They may stay: rustup's own
# rust-src component would put the same files there.
mkdir -p "$sysroot/lib/rustlib/src"
rm -rf "$sysroot/lib/rustlib/src/rust"
mkdir "$sysroot/lib/rustlib/src/rust"
cp -r "$library" "$sysroot/lib/rustlib/src/rust/library"

# An empty crate drives the build; only what it depends on is wanted.
mkdir -p "$work/driver/src"
printf '[package]\nname = "driver"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' >"$work/driver/Cargo.toml"
: >"$work/driver/src/lib.rs"
echo "wasm-target: building the standard library for $target" >&2
(cd "$work/driver" &&
    RUSTC_BOOTSTRAP=1 RUSTC="$rustc" RUSTFLAGS=-Cembed-bitcode=yes CARGO_PROFILE_RELEASE_PANIC=abort \
        CARGO_TARGET_DIR="$work/out" "$cargo" build --quiet --release \
        -Zbuild-std=std,panic_abort,test --target "$target")

lib=$sysroot/lib/rustlib/$target/lib
mkdir -p "$lib"
rm -f "$work/out/$target/release/deps"/libdriver-*
cp "$work/out/$target/release/deps"/*.rlib "$lib/"
echo "wasm-target: installed $target for rustc $release" >&2
