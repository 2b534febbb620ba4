"""SuperNodes that hold a connection to a SuperLink are counted from the kernel's table."""

from __future__ import annotations

from flowerbed.kubernetes.connections import peers

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000 49999        0 1 1
   1: 0700000A:2384 0800000A:9C40 01 00000000:00000000 00:00000000 00000000 49999        0 2 1
   2: 0700000A:2384 0800000A:9C41 01 00000000:00000000 00:00000000 00000000 49999        0 3 1
   3: 0700000A:2384 0900000A:9C42 06 00000000:00000000 00:00000000 00000000 49999        0 4 1
   4: 0700000A:2385 0A00000A:9C43 01 00000000:00000000 00:00000000 00000000 49999        0 5 1
  sl  local_address                         remote_address                        st tx_queue
   0: 0000000000000000FFFF00000700000A:2384 0000000000000000FFFF00000B00000A:9C44 01 00000000:00000000
"""


def test_each_peer_with_an_open_connection_to_the_port_counts_once() -> None:
    assert peers(TABLE, 0x2384) == {"0800000A", "0000000000000000FFFF00000B00000A"}


def test_a_table_that_is_none_has_no_peers() -> None:
    assert peers("cat: /proc/net/tcp: No such file", 9092) == set()
