"""pynetdicom as SCU against a DimseServer. Arguments: port, a Part 10 file. Prints one JSON line."""
import json
import sys

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityPerformedProcedureStep,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

port, path = int(sys.argv[1]), sys.argv[2]
got = []


def on_store(event):
    got.append(event.request.AffectedSOPInstanceUID)
    return 0x0000


ae = AE(ae_title="PYNETDICOM")
for sop in (
    Verification,
    ModalityPerformedProcedureStep,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
):
    ae.add_requested_context(sop, "1.2.840.10008.1.2")
ae.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
assoc = ae.associate(
    "127.0.0.1",
    port,
    ae_title="SERVER",
    ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
    evt_handlers=[(evt.EVT_C_STORE, on_store)],
)
assert assoc.is_established
result = {"echo": assoc.send_c_echo().Status}
result["store"] = assoc.send_c_store(dcmread(path)).Status
query = Dataset()
query.QueryRetrieveLevel = "STUDY"
query.StudyInstanceUID = ""
found = [(s.Status, i.StudyInstanceUID if i else None) for s, i in assoc.send_c_find(query, StudyRootQueryRetrieveInformationModelFind)]
result["find"] = found
statuses = [s.Status for s, _ in assoc.send_c_get(query, StudyRootQueryRetrieveInformationModelGet)]
result["get"] = statuses
result["got"] = got
step = Dataset()
step.PerformedProcedureStepStatus = "IN PROGRESS"
status, _ = assoc.send_n_create(step, ModalityPerformedProcedureStep, "1.2.3.99")
result["create"] = status.Status
status, _ = assoc.send_n_set(step, ModalityPerformedProcedureStep, "1.2.3.99")
result["set"] = status.Status
assoc.release()
print(json.dumps(result))
