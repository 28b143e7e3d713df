"""pynetdicom as SCP: keeps what it is sent, finds and returns it. Argument: port."""
import sys
from io import BytesIO

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

stored = []


def on_store(event):
    ds = event.dataset
    ds.file_meta = event.file_meta
    stored.append(ds)
    return 0x0000


def on_find(event):
    for ds in stored:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        answer = Dataset()
        answer.QueryRetrieveLevel = "STUDY"
        answer.StudyInstanceUID = ds.StudyInstanceUID
        yield 0xFF00, answer


def on_get(event):
    yield len(stored)
    for ds in stored:
        yield 0xFF00, ds


ae = AE(ae_title="PYSCP")
ae.add_supported_context(Verification)
ae.add_supported_context(CTImageStorage, "1.2.840.10008.1.2.1", scu_role=True, scp_role=True)
ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
ae.start_server(
    ("127.0.0.1", int(sys.argv[1])),
    evt_handlers=[(evt.EVT_C_STORE, on_store), (evt.EVT_C_FIND, on_find), (evt.EVT_C_GET, on_get)],
)
