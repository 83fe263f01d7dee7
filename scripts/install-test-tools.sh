#!/usr/bin/env bash
# Installs what some tests use when it is there, and say so when it is not (Debian and Ubuntu; run as root):
# strace, to see that every reply follows a sync of the disk.
set -euo pipefail
apt-get update
apt-get install -y --no-install-recommends strace
