#!/usr/bin/env bash
# Installs what some tests and benchmarks use when it is there, and say so when it is not (Debian and Ubuntu; run as root):
# strace, to see that every reply follows a sync of the disk, and to make disks fail; iproute2, for networks that can be cut;
# etcd-server, zookeeper and a Java for it, redis-server, to measure beside them. RUNLEVEL=1: nothing is to start as a service.
set -euo pipefail
apt-get update
RUNLEVEL=1 apt-get install -y --no-install-recommends strace iproute2 etcd-server zookeeper default-jre-headless redis-server
