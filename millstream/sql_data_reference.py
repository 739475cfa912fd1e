"""v1's reference to what a SQL database answers, as the source of a DataTransferStep."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.data import port_name
from millstream.dataset_factory import TabularDatasetFactory
from orchestrator.core.names import PORT

if TYPE_CHECKING:
    from millstream.datastore import Datastore
    from millstream.tabular_dataset import TabularDataset

_TABLE = re.compile(r"""[\w$#.\[\]"` -]+""")


class SqlDataReference:
    """A table, or the rows of a query, of a registered SQL datastore.

    `query_timeout`, seconds, not of v1: what the database may take for its first answer.
    """

    def __init__(
        self,
        datastore: Datastore,
        data_reference_name: str | None = None,
        sql_table: str | None = None,
        sql_query: str | None = None,
        sql_stored_procedure: str | None = None,
        sql_stored_procedure_params: Any = None,
        *,
        query_timeout: float = 600,
        **unknown: Any,
    ) -> None:
        refuse_unknown(SqlDataReference.__init__, unknown)
        if sql_stored_procedure is not None or sql_stored_procedure_params:
            raise ValueError(
                "A stored procedure is called in the words of its database, such as sql_query='EXEC name 1, 2', and "
                "must answer with rows."
            )
        if (sql_table is None) == (sql_query is None):
            raise ValueError("Give either a sql_table or a sql_query.")
        if sql_table is not None and not _TABLE.fullmatch(sql_table):
            raise ValueError(f"{sql_table!r} is no name of a table. Use sql_query for more than that.")
        self.datastore = datastore
        self.sql_table = sql_table
        self.sql_query = sql_query
        self.query_timeout = query_timeout
        self.data_reference_name = PORT.check(
            data_reference_name or port_name(sql_table or datastore.name), "data_reference_name"
        )

    @property
    def name(self) -> str:
        return self.data_reference_name

    @property
    def query(self) -> str:
        return self.sql_query if self.sql_query is not None else f"SELECT * FROM {self.sql_table}"  # noqa: S608

    def dataset(self) -> TabularDataset:
        """The rows as a dataset. Nothing is asked of the database."""
        place = (self.datastore, self.query)
        return TabularDatasetFactory.from_sql_query(place, validate=False, query_timeout=int(self.query_timeout))

    def __repr__(self) -> str:
        return f"SqlDataReference({self.name!r}: {self.query!r} in {self.datastore.name!r})"
