"""Every setting of the service: its name, type, default and meaning. Read once, in function_app.py.

    settings = read(os.environ)

A setting that does not parse, and a name that looks like a slip of the pen, stop the start with a message that names
the setting. Secrets are wrapped: no repr, log line or traceback shows them. docs/settings.md is generated from here.
"""

# ruff: noqa: RUF009 - `_setting` is `dataclasses.field` by another name
from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import setting_types as types
from orchestrator.core import signature
from orchestrator.core.compute import Compute, configured, urgent_of
from orchestrator.core.run_token import DOOR
from orchestrator.core.secret import Secret
from orchestrator.setting_field import setting as _setting
from orchestrator.setting_limits import LimitSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(LimitSettings):
    """What the service was configured with."""

    storage: Secret = _setting(
        "AzureWebJobsStorage",
        types.secret,
        "Connection string of the storage account that holds everything. This or AzureWebJobsStorage__accountName is "
        "**required**.",
        Secret(""),
    )
    storage_account: str = _setting(
        "AzureWebJobsStorage__accountName",
        types.text,
        "Name of the storage account, opened by the app's identity: no key is anywhere.",
        "",
    )
    storage_credential: str = _setting(
        "AzureWebJobsStorage__credential",
        types.text,
        "`managedidentity`, or `workloadidentity` on Kubernetes: the identity that opens the account.",
        "managedidentity",
    )
    storage_client: str = _setting(
        "AzureWebJobsStorage__clientId", types.text, "Which of the app's identities, by its client id.", ""
    )
    storage_blobs: str = _setting(
        "AzureWebJobsStorage__blobServiceUri", types.url, "Where blobs are, if not where Azure has them by name.", ""
    )
    storage_queues: str = _setting("AzureWebJobsStorage__queueServiceUri", types.url, "Where queues are, likewise.", "")
    storage_tables: str = _setting("AzureWebJobsStorage__tableServiceUri", types.url, "Where tables are, likewise.", "")
    token_sha256: tuple[str, ...] = _setting(
        "MILLSTREAM_TOKEN_SHA256",
        types.digests,
        "sha256 sums, in hex, of the bearer tokens that are accepted. Several, separated by commas, let a token be "
        "changed without a gap. Without this setting and MILLSTREAM_TOKEN every call is refused.",
        (),
    )
    token: Secret = _setting(
        "MILLSTREAM_TOKEN",
        types.secret,
        "A bearer token that is accepted, in clear: for a machine of one's own.",
        Secret(""),
    )
    entra_tenant: str = _setting(
        "MILLSTREAM_ENTRA_TENANT", types.guid, "Id of the tenant of Entra ID whose tokens are accepted.", ""
    )
    entra_audience: str = _setting(
        "MILLSTREAM_ENTRA_AUDIENCE",
        types.guid,
        "Client id of the app registration that tokens must be for. Its app roles Reader, Submitter, Operator and "
        "Owner say what a caller may do (docs/security.md). Without it no token of Entra ID is accepted.",
        "",
    )
    entra_authority: str = _setting(
        "MILLSTREAM_ENTRA_AUTHORITY",
        types.url,
        "Where the tenant signs in, in other clouds than the public one.",
        "https://login.microsoftonline.com",
    )
    functions_key_role: str = _setting(
        "MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS",
        types.role,
        "The role of callers with a key of the Functions app: `Reader`, `Submitter`, `Operator` or `Owner`. With this "
        "setting the host lets nobody in without a key (docs/security.md); without it no key is asked for, and none "
        "opens anything.",
        "",
    )
    run_token_key: Secret = _setting(
        "MILLSTREAM_RUN_TOKEN_KEY",
        types.signing_key,
        "Signs the tokens by which the scripts of steps call the service (docs/in-a-step.md): 32 characters or more, "
        "random, the same for all instances. Without it scripts get no token, and reach nothing.",
        Secret(""),
    )
    workspace: str = _setting("MILLSTREAM_WORKSPACE", types.text, "Name of the workspace.", "millstream")
    subscription_id: str = _setting(
        "MILLSTREAM_SUBSCRIPTION_ID",
        types.text,
        "Azure subscription that clients and scripts are told.",
        "00000000-0000-0000-0000-000000000000",
    )
    resource_group: str = _setting(
        "MILLSTREAM_RESOURCE_GROUP", types.text, "Resource group that clients and scripts are told.", "millstream"
    )
    public_url: str = _setting(
        "MILLSTREAM_PUBLIC_URL",
        types.url,
        "URL under which callers reach the service, without /api; endpoints of published pipelines begin with it. "
        "Without it, the URL of the request at hand.",
        "",
    )
    hostname: str = _setting(
        "WEBSITE_HOSTNAME",
        types.text,
        "Given by the Functions host: where steps reach the service when there is no MILLSTREAM_PUBLIC_URL.",
        "",
    )
    datastores: Mapping[str, str] = _setting(
        "MILLSTREAM_DATASTORES",
        types.containers,
        "JSON object: datastore name -> blob container. The first is the default datastore.",
        lambda: {"workspaceblobstore": "workspaceblobstore"},
    )
    secret_keys: tuple[Secret, ...] = _setting(
        "MILLSTREAM_SECRET_KEYS",
        types.keys,
        "Keys of 32 bytes in base64 that encrypt the secrets of registered datastores in the tables. The first one "
        "encrypts, all of them decrypt, so a key can be changed without a gap. Without this setting, and "
        "MILLSTREAM_VAULT, no datastore with a secret can be registered. Files behind a SAS token need it in any case.",
        (),
    )
    vault: str = _setting(
        "MILLSTREAM_VAULT",
        types.secure_url,
        "URL of the Key Vault that keeps the secrets of registered datastores and attached workspaces, opened by the "
        "app's identity (docs/datastores.md). Without it they are encrypted in the tables. One vault for each storage "
        "account.",
        "",
    )
    computes: Mapping[str, Compute] = _setting(
        "MILLSTREAM_COMPUTES",
        types.computes,
        "JSON object: compute name that steps may ask for -> kind of compute (docs/computes.md), `function`, `process` "
        'or `container`; or kind and sizes, as in `{"kind": "container", "most": 8, "timeout_seconds": 7200}`.',
        lambda: configured({"function": "function"}),
    )
    executions: str = _setting(
        "MILLSTREAM_EXECUTIONS",
        types.executions,
        "What starts the executions of computes that are not functions: `local`, the driver that scripts/up starts, as "
        "containers or processes; `events`, the platform, by the lengths of the queues; `container-apps`, the app too, "
        "as soon as a message is sent; `none`: nothing does, and there are no such computes.",
        "none",
    )
    resource_manager: str = _setting(
        "MILLSTREAM_RESOURCE_MANAGER",
        types.url,
        "URL of the Resource Manager of the cloud that the app lives in; its Container Apps jobs are in "
        "MILLSTREAM_SUBSCRIPTION_ID and MILLSTREAM_RESOURCE_GROUP.",
        "https://management.azure.com",
    )
    worker_image: str = _setting(
        "MILLSTREAM_WORKER_IMAGE",
        types.text,
        "Image of the worker for container computes that name none, as scripts/worker-image builds it. Without it the "
        "local driver runs them as worker processes.",
        "",
    )
    container_command: tuple[str, ...] = _setting(
        "MILLSTREAM_CONTAINER_COMMAND",
        types.words,
        "What runs containers locally, as in `podman --runtime runc`; without it, podman or docker, if there is one.",
        (),
    )
    container_options: tuple[str, ...] = _setting(
        "MILLSTREAM_CONTAINER_OPTIONS",
        types.words,
        "Options of its `run`, as in `--network host --ulimit nofile=4096:4096`.",
        ("--network", "host"),
    )
    worker_visibility: float = _setting(
        "MILLSTREAM_WORKER_VISIBILITY_SECONDS",
        types.seconds,
        "For how long an execution hides the message that it works on; it renews that until it is done. If it dies, "
        "another one gets the message after so long.",
        90.0,
    )
    queue: str = _setting(
        "MILLSTREAM_QUEUE", types.step_queue_name, "Queue whose messages drive the steps.", "millstream-steps"
    )
    urgent: bool = _setting(
        "MILLSTREAM_URGENT",
        types.flag,
        "Steps with a priority above 0 go by queues of their own, which are looked at first; without, a priority "
        "decides within its run only, and the queues, with what looking at them costs, are not there.",
        True,
    )
    blob_events: str = _setting(
        "MILLSTREAM_BLOB_EVENTS",
        types.blob_events,
        "What tells of changed blobs, for schedules that wait for data: `polling`, a blob trigger that lists the "
        "containers (not on the Flex plan); `eventgrid`, a blob trigger that Event Grid calls; `none`: the sweep "
        "alone finds them, in a schedule's polling_interval.",
        "none",
    )
    blob_events_in: tuple[str, ...] = _setting(
        "MILLSTREAM_BLOB_EVENTS_IN",
        types.places,
        "Datastores of MILLSTREAM_DATASTORES, or folders of them, whose blobs are told of, as in "
        "`workspaceblobstore/incoming,raw`; without it, all of them. The host reads every blob there, outputs of runs "
        "too, so name the folders that data comes in.",
        (),
    )
    changes_queue: str = _setting(
        "MILLSTREAM_CHANGES_QUEUE",
        types.queue_name,
        "Queue whose messages say that a batch of changed blobs may be due.",
        "millstream-changes",
    )
    webhook_keys: tuple[Secret, ...] = _setting(
        "MILLSTREAM_WEBHOOK_KEYS",
        types.secrets,
        "Random text of at least 32 characters from which the secrets of webhooks are derived. Several, separated by "
        "commas: calls are signed for each, and the first one makes the secrets that are shown. Without this setting "
        "there are no webhooks.",
        (),
    )
    webhook_queue: str = _setting(
        "MILLSTREAM_WEBHOOK_QUEUE",
        types.queue_name,
        "Queue whose messages drive the calls of webhooks.",
        "millstream-webhooks",
    )
    webhook_delays: tuple[float, ...] = _setting(
        "MILLSTREAM_WEBHOOK_DELAYS",
        types.delays,
        "Seconds from each call of a webhook that was not accepted to the next, separated by commas. After the last "
        "of them it is given up.",
        (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0),
    )
    look_delays: tuple[float, ...] = _setting(
        "MILLSTREAM_LOOK_DELAYS",
        types.delays,
        "Seconds from each look at the work that a service does for a step, such as a job of Databricks, to the next, "
        "separated by commas. The last of them is repeated.",
        (5.0, 10.0, 20.0, 30.0, 60.0),
    )
    webhook_patience: float = _setting(
        "MILLSTREAM_WEBHOOK_PATIENCE_SECONDS",
        types.seconds,
        "How long a call of a webhook may be overdue before it is started again.",
        120.0,
    )
    webhook_private: bool = _setting(
        "MILLSTREAM_WEBHOOK_PRIVATE",
        types.flag,
        "Webhooks may be addresses that are not of the internet: private, local or of the platform.",
        False,
    )
    log_form: str = _setting(
        "MILLSTREAM_LOG_FORM",
        types.log_form,
        "How the service's own log lines are written: `text`, or `json`, one object a line, whose ids of run, step and "
        "request a query finds (docs/operations.md).",
        "text",
    )
    claim_ttl: float = _setting(
        "MILLSTREAM_CLAIM_TTL_SECONDS",
        types.seconds,
        "A step whose claim has had no heartbeat for so long may be taken over by another worker.",
        90.0,
    )
    sweep_quiet: float = _setting(
        "MILLSTREAM_SWEEP_QUIET_SECONDS",
        types.seconds,
        "The sweep leaves a run alone that moved within this time.",
        45.0,
    )
    fire_ahead: float = _setting(
        "MILLSTREAM_FIRE_AHEAD_SECONDS",
        types.seconds,
        "Schedules are looked at once a minute; one that is due within this time is waited for, at most 50 s. Waiting "
        "is time of the timer's function.",
        5.0,
    )
    heartbeat: float = _setting(
        "MILLSTREAM_HEARTBEAT_SECONDS", types.seconds, "Time between two heartbeats of a step.", 30.0
    )
    cancel_check: float = _setting(
        "MILLSTREAM_CANCEL_CHECK_SECONDS", types.seconds, "Time between two looks whether a run was cancelled.", 3.0
    )
    function_timeout: float = _setting(
        "MILLSTREAM_FUNCTION_TIMEOUT_SECONDS",
        types.seconds,
        "functionTimeout of host.json. Every script is ended 30 s before it.",
        1800.0,
    )
    cache_dir: Path = _setting(
        "MILLSTREAM_CACHE_DIR",
        lambda value: Path(types.text(value)),
        "Local folder for unpacked sources and for the working folders of steps.",
        lambda: Path(tempfile.gettempdir()) / "millstream",
    )
    log_bytes: int = _setting(
        "MILLSTREAM_LOG_BYTES", types.count, "The most of a step's output that is kept.", 10_000_000
    )
    data_cache_bytes: int = _setting(
        "MILLSTREAM_DATA_CACHE_BYTES",
        types.count,
        "What a node keeps of the data that steps read and wrote, but never more than a quarter of its free disk.",
        10_000_000_000,
    )
    fork_server: bool = _setting(
        "MILLSTREAM_FORK_SERVER", types.flag, "Start scripts by forking a warm interpreter where the system can.", True
    )
    spark_python: str = _setting(
        "MILLSTREAM_SPARK_PYTHON",
        types.text,
        "The interpreter whose packages include pyspark, for steps on a local Spark. Without it, the worker's own.",
        "",
    )
    keep_work_dirs: bool = _setting(
        "MILLSTREAM_KEEP_WORK_DIRS", types.flag, "Leave the working folders of steps behind, to look into.", False
    )
    environments_dir: Path | None = _setting(
        "MILLSTREAM_ENVIRONMENTS_DIR",
        lambda value: Path(types.text(value)),
        "Local folder for the environments of steps; without it, `environments` in MILLSTREAM_CACHE_DIR.",
        None,
    )
    environments_bytes: int = _setting(
        "MILLSTREAM_ENVIRONMENTS_BYTES",
        types.count,
        "The most that the environments of steps take there, with the packages they are made from, and never more than "
        "half of the disk. What was not used for longest goes first; what is in use stays.",
        20_000_000_000,
    )
    environments_timeout: float = _setting(
        "MILLSTREAM_ENVIRONMENTS_TIMEOUT_SECONDS", types.seconds, "How long one environment may take to be made.", 900.0
    )
    uv: str = _setting(
        "MILLSTREAM_UV",
        types.text,
        "The uv that makes the environments of steps. Without it, the one beside the worker; where there is none, pip "
        "brings one from the index of packages when it is first needed.",
        "",
    )
    environments_sources: bool = _setting(
        "MILLSTREAM_ENVIRONMENTS_SOURCES",
        types.flag,
        "Packages without a wheel may be built from their sources, which runs their code with uv's configuration.",
        False,
    )
    definition_bytes: int = _setting(
        "MILLSTREAM_DEFINITION_BYTES",
        types.count,
        "The largest request body with a pipeline definition.",
        4 * 1024 * 1024,
    )
    body_bytes: int = _setting("MILLSTREAM_BODY_BYTES", types.count, "The largest other request body.", 1024 * 1024)
    assignment_bytes: int = _setting(
        "MILLSTREAM_ASSIGNMENT_BYTES",
        types.count,
        "The most a run's parameters, tags and properties take as JSON.",
        24_000,
    )
    snapshot_bytes: int = _setting(
        "MILLSTREAM_SNAPSHOT_BYTES", types.count, "The largest source folder, unpacked.", 300_000_000
    )
    snapshot_files: int = _setting("MILLSTREAM_SNAPSHOT_FILES", types.count, "The most files of a source folder.", 2000)
    url_seconds: float = _setting(
        "MILLSTREAM_SIGNED_URL_SECONDS", types.seconds, "How long a signed URL is good for.", 900.0
    )

    def __post_init__(self) -> None:
        if bool(self.storage) == bool(self.storage_account or self.storage_blobs):
            wrong = "are both set: one of them must go" if self.storage else "are both missing: set one of them"
            raise types.InvalidSetting(
                f"AzureWebJobsStorage and AzureWebJobsStorage__accountName {wrong}.", field="AzureWebJobsStorage"
            )
        if self.entra_audience and not self.entra_tenant:
            raise types.InvalidSetting(
                "MILLSTREAM_ENTRA_AUDIENCE needs MILLSTREAM_ENTRA_TENANT.", field="MILLSTREAM_ENTRA_TENANT"
            )
        for place in self.blob_events_in:
            if place.partition("/")[0] not in self.datastores:
                raise types.InvalidSetting(
                    f"MILLSTREAM_BLOB_EVENTS_IN names {place!r}, and MILLSTREAM_DATASTORES has no such datastore.",
                    field="MILLSTREAM_BLOB_EVENTS_IN",
                )
        if self.heartbeat * 2 > self.claim_ttl:
            raise types.InvalidSetting(
                f"MILLSTREAM_HEARTBEAT_SECONDS ({self.heartbeat:g}) must be at most half of "
                f"MILLSTREAM_CLAIM_TTL_SECONDS ({self.claim_ttl:g}), or living steps are taken for dead.",
                field="MILLSTREAM_HEARTBEAT_SECONDS",
            )

    @property
    def step_queues(self) -> tuple[str, ...]:
        """The service's own, whose steps the Functions app runs: first the one that goes ahead, if there is one."""
        return (urgent_of(self.queue), self.queue) if self.urgent else (self.queue,)

    @property
    def starts_executions(self) -> bool:
        """Whether the app itself does."""
        return self.executions == "container-apps"

    @property
    def jobs_group(self) -> str:
        """The resource group of the Container Apps jobs, as the Resource Manager names it."""
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def compute_kinds(self) -> tuple[str, ...]:
        """The kinds of computes that can be made."""
        return {
            "none": ("function",),
            "local": ("function", "process", "container"),
            "events": ("function", "container"),
            "container-apps": ("function", "container"),
        }[self.executions]

    @property
    def default_datastore(self) -> str:
        return next(iter(self.datastores))

    @property
    def service_url(self) -> str:
        """Where steps reach the service, without /api; "" if that is not known."""
        url = self.public_url
        if not url and self.hostname:
            local = self.hostname.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
            url = f"{'http' if local else 'https'}://{self.hostname}"
        # Where a key is asked for, scripts, which have none, go by a door of their own.
        return f"{url}/api/{DOOR}" if url and self.functions_key_role else url

    @property
    def blob_event_places(self) -> tuple[tuple[str, str], ...]:
        """Container and folder ("": all of it) of every blob trigger."""
        if self.blob_events == "none":
            return ()
        places = self.blob_events_in or tuple(self.datastores)
        parts = [place.partition("/") for place in places]
        return tuple(sorted({(self.datastores[name], folder) for name, _, folder in parts}))

    @property
    def token_digests(self) -> tuple[bytes, ...]:
        """sha256 of every token that is accepted; empty: none is."""
        digests = [bytes.fromhex(digest) for digest in self.token_sha256]
        if self.token:
            digests.append(hashlib.sha256(self.token.reveal().encode()).digest())
        return tuple(digests)

    @property
    def webhook_key_bytes(self) -> tuple[bytes, ...]:
        """What the secrets of webhooks are derived from, the newest first."""
        return tuple(key.reveal().encode() for key in self.webhook_keys)

    def webhook_secret(self, signer: str) -> str:
        """The secret of a webhook, to be shown to whoever registers it. There must be a key."""
        return signature.shown(signature.derive(self.webhook_key_bytes[0], signer))


def read(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`; an empty value counts as not given. Raises InvalidSetting."""
    specs = {spec.metadata["variable"]: spec for spec in dataclasses.fields(Settings)}
    types.refuse_slips(environment, specs)
    values: dict[str, Any] = {}
    for variable, spec in specs.items():
        if text := environment.get(variable, ""):
            values[spec.name] = types.parsed(variable, spec.metadata["parse"], text)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise types.InvalidSetting(f"The setting {variable} is missing: {spec.metadata['meaning']}", field=variable)
    return Settings(**values)
