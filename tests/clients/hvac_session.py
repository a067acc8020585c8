"""A session of the Python library hvac against a fresh server, given by its URL, and a PostgreSQL, given by
host and port, which `keeper` manages.

Ends with status 0 and the line `hvac session complete`, or with a traceback.
"""

import sys
import time

import hvac
from hvac import exceptions


def expect_error(kind, call, **arguments):
    """The call must fail with this kind of error, and nothing else."""
    try:
        call(**arguments)
    except kind as error:
        return error
    raise AssertionError(f"{call} with {arguments} did not raise {kind}")


def open_server(client):
    """Initialise and unseal."""
    assert client.sys.is_initialized() is False
    made = client.sys.initialize(secret_shares=3, secret_threshold=2)
    assert len(made["keys"]) == 3 and len(made["keys_base64"]) == 3
    assert client.sys.is_initialized() is True
    assert client.sys.is_sealed() is True
    client.sys.submit_unseal_key(made["keys"][0])
    client.sys.submit_unseal_keys([made["keys"][1]])
    assert client.sys.is_sealed() is False
    client.token = made["root_token"]
    for _ in range(100):
        if client.sys.read_health_status(method="GET") and client.sys.read_health_status(method="HEAD").status_code == 200:
            break
    assert client.is_authenticated()
    return made


def key_values_2(client):
    """KV version 2, as applications use it."""
    client.sys.enable_secrets_engine("kv", path="two", options={"version": "2"})
    kv = client.secrets.kv.v2
    kv.create_or_update_secret("app/db", secret={"user": "u", "n": 5}, mount_point="two")
    kv.create_or_update_secret("app/db", secret={"user": "v"}, cas=1, mount_point="two")
    expect_error(exceptions.InvalidRequest, kv.create_or_update_secret, path="app/db", secret={}, cas=1, mount_point="two")
    read = kv.read_secret_version("app/db", mount_point="two", raise_on_deleted_version=True)
    assert read["data"]["data"] == {"user": "v"} and read["data"]["metadata"]["version"] == 2
    first = kv.read_secret_version("app/db", version=1, mount_point="two", raise_on_deleted_version=True)
    assert first["data"]["data"] == {"user": "u", "n": 5}
    kv.patch("app/db", secret={"more": True}, mount_point="two")
    assert kv.read_secret("app/db", mount_point="two", raise_on_deleted_version=True)["data"]["data"] == {"user": "v", "more": True}
    assert kv.list_secrets("", mount_point="two")["data"]["keys"] == ["app/"]
    kv.delete_latest_version_of_secret("app/db", mount_point="two")
    expect_error(exceptions.InvalidPath, kv.read_secret_version, path="app/db", mount_point="two", raise_on_deleted_version=True)
    kv.undelete_secret_versions("app/db", versions=[3], mount_point="two")
    kv.destroy_secret_versions("app/db", versions=[1], mount_point="two")
    kv.update_metadata("app/db", max_versions=4, cas_required=False, custom_metadata={"who": "me"}, mount_point="two")
    about = kv.read_secret_metadata("app/db", mount_point="two")["data"]
    assert about["versions"]["1"]["destroyed"] is True and about["custom_metadata"] == {"who": "me"} and about["max_versions"] == 4
    kv.configure(max_versions=7, mount_point="two")
    assert kv.read_configuration(mount_point="two")["data"]["max_versions"] == 7
    kv.delete_metadata_and_all_versions("app/db", mount_point="two")
    expect_error(exceptions.InvalidPath, kv.read_secret_metadata, path="app/db", mount_point="two")


def key_values_1(client):
    """KV version 1."""
    client.sys.enable_secrets_engine("kv", path="one")
    kv = client.secrets.kv.v1
    kv.create_or_update_secret("a", secret={"k": "v"}, mount_point="one")
    assert kv.read_secret("a", mount_point="one")["data"] == {"k": "v"}
    assert kv.list_secrets("", mount_point="one")["data"]["keys"] == ["a"]
    kv.delete_secret("a", mount_point="one")
    expect_error(exceptions.InvalidPath, kv.read_secret, path="a", mount_point="one")


def system(client):
    """Mounts, policies, keys."""
    assert client.sys.list_mounted_secrets_engines()["data"]["two/"]["options"] == {"version": "2"}
    client.sys.tune_mount_configuration("one", default_lease_ttl="1h", description="d")
    assert client.sys.read_mount_configuration("one")["data"]["default_lease_ttl"] == 3600
    client.sys.move_backend("one", "uno")
    client.sys.disable_secrets_engine("uno")
    client.sys.create_or_update_policy("reader", policy='path "two/*" { capabilities = ["read"] }')
    assert "reader" in client.sys.list_policies()["data"]["policies"]
    assert "two/*" in client.sys.read_policy("reader")["data"]["rules"]
    term = client.sys.get_encryption_key_status()["data"]["term"]
    client.sys.rotate_encryption_key()
    assert client.sys.get_encryption_key_status()["data"]["term"] == term + 1
    assert client.sys.list_auth_methods()["data"]["token/"]["type"] == "token"
    assert "to-file/" in client.sys.list_enabled_audit_devices()["data"]
    assert client.sys.read_leader_status()["is_self"] is True
    assert client.sys.get_capabilities(paths=["two/x"])["data"]["capabilities"] == ["root"]


def tokens(client, address):
    """Tokens, and what they may."""
    made = client.auth.token.create(policies=["reader"], ttl="1h", meta={"team": "x"})["auth"]
    assert made["policies"] == ["default", "reader"] and made["lease_duration"] == 3600
    client.secrets.kv.v2.create_or_update_secret("shared", secret={"k": "v"}, mount_point="two")
    other = hvac.Client(url=address, token=made["client_token"])
    assert other.secrets.kv.v2.read_secret("shared", mount_point="two", raise_on_deleted_version=True)["data"]["data"] == {"k": "v"}
    expect_error(exceptions.Forbidden, other.secrets.kv.v2.create_or_update_secret, path="shared", secret={}, mount_point="two")
    assert other.auth.token.lookup_self()["data"]["meta"] == {"team": "x"}
    assert other.auth.token.renew_self(increment="30m")["auth"]["lease_duration"] == 1800
    assert client.auth.token.lookup_accessor(made["accessor"])["data"]["policies"] == ["default", "reader"]
    other.auth.token.revoke_self()
    assert other.is_authenticated() is False
    orphan = client.auth.token.create_orphan(policies=["default"])["auth"]
    assert client.auth.token.lookup(orphan["client_token"])["data"]["orphan"] is True
    client.auth.token.revoke_accessor(orphan["accessor"])
    expect_error(exceptions.Forbidden, client.auth.token.lookup, token=orphan["client_token"])


def users(client, address):
    """The auth method userpass."""
    client.sys.enable_auth_method("userpass")
    userpass = client.auth.userpass
    userpass.create_or_update_user("Ann", password="pw", policies="reader")
    assert userpass.list_user()["data"]["keys"] == ["ann"]
    assert userpass.read_user("ann")["data"]["token_policies"] == ["reader"]
    other = hvac.Client(url=address)
    expect_error(exceptions.InvalidRequest, other.auth.userpass.login, username="ann", password="wrong")
    made = other.auth.userpass.login("ann", "pw")["auth"]
    assert made["policies"] == ["default", "reader"] and made["metadata"] == {"username": "ann"}
    assert other.auth.token.renew_self()["auth"]["client_token"] == made["client_token"]
    userpass.update_password_on_user("ann", "new")
    expect_error(exceptions.InvalidRequest, other.auth.userpass.login, username="ann", password="pw")
    other.auth.userpass.login("ann", "new")
    userpass.delete_user("ann")
    expect_error(exceptions.InvalidRequest, other.auth.userpass.login, username="ann", password="new")


def applications(client, address):
    """The auth method approle."""
    client.sys.enable_auth_method("approle")
    approle = client.auth.approle
    approle.create_or_update_approle("app", token_policies=["reader"], token_ttl="10m", secret_id_num_uses=2)
    assert approle.list_roles()["data"]["keys"] == ["app"]
    assert approle.read_role("app")["data"]["secret_id_num_uses"] == 2
    approle.update_role_id("app", "its-id")
    assert approle.read_role_id("app")["data"]["role_id"] == "its-id"
    made = approle.generate_secret_id("app", metadata={"stage": "test"}, cidr_list=["127.0.0.0/8"])["data"]
    assert made["secret_id_num_uses"] == 2
    assert approle.list_secret_id_accessors("app")["data"]["keys"] == [made["secret_id_accessor"]]
    assert approle.read_secret_id("app", made["secret_id"])["data"]["metadata"] == {"stage": "test"}
    other = hvac.Client(url=address)
    for _ in range(2):
        auth = other.auth.approle.login("its-id", made["secret_id"])["auth"]
        assert auth["lease_duration"] == 600 and auth["metadata"] == {"role_name": "app", "stage": "test"}
    expect_error(exceptions.InvalidRequest, other.auth.approle.login, role_id="its-id", secret_id=made["secret_id"])
    custom = approle.create_custom_secret_id("app", "of-my-own")["data"]
    assert approle.read_secret_id_accessor("app", custom["secret_id_accessor"])["data"]["secret_id_num_uses"] == 2
    approle.destroy_secret_id_accessor("app", custom["secret_id_accessor"])
    expect_error(exceptions.InvalidRequest, other.auth.approle.login, role_id="its-id", secret_id="of-my-own")
    approle.delete_role("app")
    expect_error(exceptions.InvalidPath, approle.read_role, role_name="app")


def until_gone(client, prefix):
    """Revoking may go on when it was answered."""
    for _ in range(200):
        try:
            client.sys.list_leases(prefix)
        except exceptions.InvalidPath:
            return
        time.sleep(0.05)
    raise AssertionError(f"leases below {prefix} stay")


def databases(client, postgres):
    """Users of a database, on demand and with passwords that change."""
    client.sys.enable_secrets_engine("database")
    database = client.secrets.database
    url = "postgresql://{{username}}:{{password}}@" + postgres + "/postgres?sslmode=disable"
    login = {"username": "keeper", "password": "kept-by-the-session"}
    refused = {"connection_url": url, "username": "keeper", "password": "wrong"}
    expect_error(exceptions.InvalidRequest, database.configure, name="pg", plugin_name="postgresql-database-plugin", **refused)
    database.configure("pg", "postgresql-database-plugin", allowed_roles=["app", "svc"], connection_url=url, **login)
    assert database.list_connections()["data"]["keys"] == ["pg"]
    shown = database.read_connection("pg")["data"]
    assert shown["connection_details"] == {"connection_url": url, "username": "keeper"} and shown["allowed_roles"] == ["app", "svc"]
    create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
    database.create_role("app", "pg", creation_statements=[create], default_ttl="1h", max_ttl="24h")
    assert database.list_roles()["data"]["keys"] == ["app"]
    assert database.read_role("app")["data"]["default_ttl"] == 3600
    made = database.generate_credentials("app")
    assert made["lease_duration"] == 3600 and made["data"]["username"].startswith("v-root-app-") and made["data"]["password"]
    assert client.sys.renew_lease(made["lease_id"], increment=7200)["lease_duration"] == 7200
    as_user = {"connection_url": url, "username": made["data"]["username"], "password": made["data"]["password"]}
    database.configure("as-user", "postgresql-database-plugin", **as_user)
    client.sys.revoke_lease(made["lease_id"])
    until_gone(client, "database/creds/app")
    expect_error(exceptions.InvalidRequest, database.configure, name="as-user", plugin_name="postgresql-database-plugin", **as_user)
    database.create_static_role("svc", "pg", "servant", rotation_statements=["ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}'"])
    first = database.get_static_credentials("svc")["data"]
    database.rotate_static_role_credentials("svc")
    second = database.get_static_credentials("svc")["data"]
    assert first["username"] == second["username"] == "servant" and first["password"] != second["password"]
    assert database.list_static_roles()["data"]["keys"] == ["svc"] and database.read_static_role("svc")["data"]["rotation_period"] == 86400
    database.delete_static_role("svc")
    database.rotate_root_credentials("pg")
    database.reset_connection("pg")
    assert database.generate_credentials("app")["data"]["username"]
    client.sys.revoke_prefix("database/creds")
    database.delete_role("app")
    database.delete_connection("pg")
    expect_error(exceptions.InvalidPath, database.read_connection, name="pg")


def main():
    address = sys.argv[1]
    client = hvac.Client(url=address)
    open_server(client)
    key_values_2(client)
    key_values_1(client)
    system(client)
    tokens(client, address)
    users(client, address)
    applications(client, address)
    databases(client, sys.argv[2])
    client.sys.seal()
    assert client.sys.is_sealed() is True
    expect_error(exceptions.VaultDown, client.secrets.kv.v2.read_secret, path="shared", mount_point="two", raise_on_deleted_version=True)
    print("hvac session complete")


if __name__ == "__main__":
    main()
