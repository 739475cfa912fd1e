"""What must hold of every resource, whatever else a file says: no keys, no public doors, no role that is too wide."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from tree_sitter import Node

from tests.infra.bicep import (
    Declared,
    Document,
    Problem,
    at,
    body,
    cases,
    literal,
    properties,
    text,
    walk,
)

ROLES: Mapping[str, str] = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "8311e382-0749-4cb8-b61a-304f252e45ec": "AcrPush",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b": "Container Apps Jobs Operator",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
"""All roles that may be given: of the data plane, or to start what is there. None may change resources or rights."""

OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
"""Changes secrets: for the app alone, which keeps those of datastores, and on a vault."""

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SECRET = re.compile(r"key|secret|password|credential|sas(?![a-z])|connection(?!s)", re.IGNORECASE)
VAULTED = ("MILLSTREAM_RUN_TOKEN_KEY", "MILLSTREAM_WEBHOOK_KEYS", "MILLSTREAM_SECRET_KEYS")
"""Settings of the app that are secrets."""

Rules = Mapping[tuple[str, ...], Callable[[object], bool]]


def _is(wanted: object) -> Callable[[object], bool]:
    return lambda given: given == wanted and type(given) is type(wanted)


REQUIRED: Mapping[str, Rules] = {
    "Microsoft.Storage/storageAccounts": {
        ("allowSharedKeyAccess",): _is(False),
        ("allowBlobPublicAccess",): _is(False),
        ("allowCrossTenantReplication",): _is(False),
        ("supportsHttpsTrafficOnly",): _is(True),
        ("minimumTlsVersion",): lambda given: given in ("TLS1_2", "TLS1_3"),
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {("publicAccess",): _is("None")},
    "Microsoft.Web/sites": {
        ("httpsOnly",): _is(True),
        ("siteConfig", "minTlsVersion"): lambda given: given in ("1.2", "1.3"),
        ("siteConfig", "ftpsState"): _is("Disabled"),
        ("siteConfig", "remoteDebuggingEnabled"): _is(False),
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {("allow",): _is(False)},
    "Microsoft.ContainerRegistry/registries": {
        ("adminUserEnabled",): _is(False),
        ("anonymousPullEnabled",): _is(False),
    },
    "Microsoft.KeyVault/vaults": {
        ("enableRbacAuthorization",): _is(True),
        ("enablePurgeProtection",): _is(True),
        ("enableSoftDelete",): _is(True),
    },
    "Microsoft.Insights/components": {("DisableLocalAuth",): _is(True)},
}


def check(document: Document) -> Iterator[Problem]:
    """Everything below, for one file."""
    for resource in document.resources.values():
        if not resource.existing:
            yield from _required(document, resource)
            yield from _identity(document, resource)
            yield from _settings(document, resource)
    yield from _roles(document)
    yield from _keys(document)
    for output in document.outputs.values():
        suspicious = _SECRET.search(output.name) or _reads_secret(output.value)
        if suspicious and not _explained(document, output):
            yield document.problem(output.node, f"the output {output.name} may show a secret")


def _required(document: Document, resource: Declared) -> Iterator[Problem]:
    kind = resource.type.partition("@")[0]
    for path, holds in REQUIRED.get(kind, {}).items():
        node = at(body(resource), "properties", *path)
        if node is None or not all(holds(literal(case)) for case in cases(node)):
            yield document.problem(node or resource.node, f"{kind}: {'.'.join(path)} is not as it must be")


def _identity(document: Document, resource: Declared) -> Iterator[Problem]:
    """Applications and jobs have identities of their own, given by name."""
    runs_code = resource.type.partition("@")[0] in ("Microsoft.Web/sites", "Microsoft.App/jobs")
    if runs_code and literal(at(body(resource), "identity", "type")) != "UserAssigned":
        yield document.problem(resource.node, f"{resource.name} has no user-assigned identity")


def _settings(document: Document, resource: Declared) -> Iterator[Problem]:
    """Of application settings, what a secret is comes from the vault by reference."""
    if not resource.type.startswith("Microsoft.Web/sites/config@"):
        return
    for name, node, value in properties(at(body(resource), "properties") or resource.node):
        if name in ("AzureWebJobsStorage", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "MILLSTREAM_TOKEN"):
            yield document.problem(node, f"{name} would hold a secret")
        elif name in VAULTED and not text(value).startswith("'@Microsoft.KeyVault("):
            yield document.problem(node, f"{name} does not come from the vault")


def _roles(document: Document) -> Iterator[Problem]:
    """Only known roles, by id, and each on one resource, never on a group or a subscription."""
    for node in walk(document.root):
        if node.type == "string":
            for guid in _GUID.findall(text(node)):
                if guid not in ROLES:
                    yield document.problem(node, f"{guid} is not among the roles that may be given")
    for resource in document.resources.values():
        if not resource.type.startswith("Microsoft.Authorization/roleAssignments@"):
            continue
        if at(body(resource), "scope") is None:
            yield document.problem(resource.node, f"{resource.name} gives a role on the whole group")
        if at(body(resource), "properties", "principalType") is None:
            yield document.problem(resource.node, f"{resource.name} does not say what its principal is")
        if OFFICER in _role(document, resource) and _given_to(resource) != ("appPrincipal", "vault"):
            yield document.problem(resource.node, f"{resource.name} lets somebody change secrets who need not")


def _role(document: Document, resource: Declared) -> str:
    """The text that says which role is given, variables with what they stand for."""
    node = at(body(resource), "properties", "roleDefinitionId")
    words = re.findall(r"\w+|'[^']*'", text(node)) if node is not None else []
    return " ".join(
        text(named.value) if (named := document.variables.get(word)) and named.value is not None else word
        for word in words
    )


def _given_to(resource: Declared) -> tuple[str, str]:
    principal, scope = at(body(resource), "properties", "principalId"), at(body(resource), "scope")
    return (text(principal) if principal else "", text(scope) if scope else "")


def _keys(document: Document) -> Iterator[Problem]:
    """Keys are listed for Event Grid's subscription alone, which cannot be made without."""
    for node in walk(document.root):
        if node.type == "call_expression" or node.type == "member_expression":
            name = text(node.named_children[-1] if node.type == "member_expression" else node.named_children[0])
            if re.fullmatch(r"list[A-Z]\w*", name) and "/host/default" not in text(node):
                yield document.problem(node, f"{name} reads keys")


def _reads_secret(value: Node | None) -> bool:
    return value is not None and any(
        text(node).startswith("list") and node.type == "identifier" for node in walk(value)
    )


def _explained(document: Document, output: Declared) -> bool:
    """Whether the line above says that it is none."""
    before = output.node.prev_named_sibling
    return before is not None and before.type == "comment" and text(before).startswith("// Not a secret: ")
