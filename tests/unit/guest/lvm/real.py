"""Heads of two physical volumes as LVM 2.03.16 wrote them: group ``vg-x`` of extents of 1 MiB.

By lvs: ``root-a`` is /dev/loop0:0-19, /dev/loop0:30-62, /dev/loop1:0-16; ``data`` is /dev/loop0:20-29.
"""

from __future__ import annotations

import base64
import zlib

_FIRST = """
eNrtWFtP40YUXqpKVf3SPvWpDyOjai9iwthOHECiqgkhhMbcEpENLIocexJMbY+xHW/C5bGVqr70P/RX9F9V6g9oz9gJLBu2Uqm2Ytn5pJFnjm
fmXH3OeJ48EfiY0TDWqo2d7ercZPzzr7/8iDj9wFQRIUqz39uK0/Hm6clOzbNPzw4Of/BemrquV2rNTTMYwdRP85Vf/jOj6es/vrjz9SfQ5oQ7
BAQEBAQEBAQEBAQE3hv+Ms7/RNnP3uioZHwTke0X387d9b/2Vf5Y+Cx//vT7b18L6334SAd4hC4k10GrSF6LgqbaxttRfR0npLKJK0V2iFv+WQ
cbWyc21qubkd2TpZieBQwWKFKfRb6V8LVe6qvwJrGSYQzjI3m/2qwfVo21RlVeQDAy1vmzvV9vVeVjqe9Zg2zesURHCQ2SbuyeUyCopLgk+dao
66UwIlk3nHRpYjlWYnVtFro0zmhSeDKOXdvyuinzhj5QL4CWkmud8gsMzG8wML/CwPwOA/NLDMxvMXB+jSFLDk1dmwsgL0J30WMsJLL0pkJGo7
FTMVqZRrcUgPlT6RVNIWVVCmkXFkbJVB8Y22wY8LGuSVdcQuVawnaQ9s4OMaNRCZcdI8B6c6uPac+M8aj1/Wt8uhd3dqw7JVTem4QgI7R5VKMB
jayEOqg3zvNESqPYZQFSC0QrKPoz9Tl6phJVxaSElaXnK6g5DNA2S5GqIoWsqMsrigo8VF2SbBZwV3Oh5Ba4HW3k4XOQuQ7VIjYMZWnKgMcXSB
7bkRsmOUFuR25CUT9iPkoHdkRBMoRjpJgoC+Qb1910FYQxMO67A/Q0N2F8gYYx7U4GfdejqwTBI6HR6tEr2bq82ebylbxwi6LklOiy8AJ6x+gK
WXbiphYX8GKY2Xkc2LBf1o+GHo1XyRUaeKxneRecLXwoIfM8B8hPC+C/TAtY3T1hcfYlpb78+TxquMFwhFIf6QVlqVAs4r6NU11fRvMKapq7aH
e/WjV3W931zrZh1ivoO4JGS3pXL95smLh+5vHyckkralpJhW3f7RyRC0X+/5f5XxX5/xHnf48N3jZsxFiCrWvJO9X+hjfA485eiNcobeNBjW3i
PbPSxudmp4z3gtFLvf5WVLwZB9A5qDfrM/K+O4XdmS4hIAc+j6GpClA4JiRu5kzRbh5mWdBMIm46W4UwSsZhZto4gWpDHS4z79zaMaNkEkoyhB
hIT6TjzFZXD71Yeum0WGIncmGRxywH5AwQtqAdQmtDawBvE+EATRydZQdRPh9x+fxP+V8T+V/kf5H/wVY8LK/NYjiU9Ak+r/kbuN3YL+NSaAb4
9fqWh5nZ6+GW07Zs8uDNotzbLOrjq4tKXhczP4uqKH4qxf8fLCiK+i/q/0Os/9r/Wv8nrNRZVuoML027Ly/tFjNtlllJm6ng5fswU8TB5jEcbD
KlnTsONg1UJvl9+eLkexZnGXGWEfgo8TdqThOn
"""
_SECOND_LABEL = """
eNrzcXRy9fH3c2VkgADGi2n6CkDaJ8zXSMHAwDA8ryypMCo/tcjUPMUxzyzYKy01ybe4IsS7PCuwONI/EaiUBaJTgAEvgEl/4McqzQSym2EU0B
sAAO6KEnU=
"""

FIRST = zlib.decompress(base64.b64decode(_FIRST))
# The second one differs in its label and header alone.
SECOND = FIRST[:512] + zlib.decompress(base64.b64decode(_SECOND_LABEL)) + FIRST[1024:]
