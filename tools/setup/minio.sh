#!/usr/bin/env bash
# MinIO for the tests of the s3 object store, built by Go (its makers distribute source only).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$ROOT/tools/setup/go-install.sh" minio "$(pin minio.goPackage)" "$TOOLS/minio-$(pin minio.version)"
