/** One good file and what may go wrong with it; one table, as keepalived is asked about all of it. */
/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: keepalived.conf's own syntax */

import { KERNEL_LINES } from './kernel-lines.js';

export const GOOD = `\
global_defs {
    router_id LVS_1
    enable_script_security
    script_user root
    smtp_connect_timeout 30
    smtp_server 192.0.2.25 25
    vrrp_garp_master_delay 10
    vrrp_version 2
    lvs_timeouts tcp 900 tcpfin 120 udp 300
    checker_log_all_failures on
    max_auto_priority 20
    vrrp_priority -10
    notification_email {
        root@example.org
    }
}
track_file load {
    file /tmp/load
    weight 1
}
bfd_instance peer {
    neighbor_ip 10.99.0.9
    min_rx 100
    multiplier 3
}
vrrp_script check_proxy {
    script "/bin/true"
    interval 2
    timeout 1
    weight -20
    rise 2
    fall 3
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    preempt_delay 5
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        192.0.2.80/24 dev eth0 label eth0:1
    }
    track_script {
        check_proxy weight 10
    }
    track_interface {
        eth1 weight 5
    }
    unicast_peer {
        10.99.0.2
    }
    notify_master "/bin/true master"
    garp_master_repeat 2
    virtual_routes {
        198.51.100.0/24 via 10.99.0.2 dev eth0
    }
    virtual_rules {
        from 198.51.100.0/24 table 5 preference 100
    }
}
vrrp_instance VI_2 {
    interface eth2
    virtual_router_id 52
    virtual_ipaddress {
        192.0.2.81
    }
}
vrrp_instance VI_3 {
    interface eth2
    virtual_router_id 53
    virtual_ipaddress {
        192.0.2.82
    }
}
vrrp_sync_group G1 {
    group {
        VI_2
        VI_3
    }
    notify_fault /bin/true
}
virtual_server_group WEB {
    203.0.113.10 80
    203.0.113.20-29 80
}
virtual_server 203.0.113.1 80 {
    delay_loop 6
    lvs_sched wrr
    lvs_method NAT
    persistence_timeout 50
    persistence_granularity 255.255.255.0
    protocol TCP
    alpha
    quorum 2
    hysteresis 1
    quorum_up "/bin/true up"
    sorry_server 198.51.100.99 80
    sorry_server_inhibit
    retry 3
    delay_before_retry 2
    warmup 1
    connect_timeout 4
    virtualhost www.example.org
    real_server 198.51.100.1 80 {
        weight 3
        uthreshold 1000
        lthreshold 900
        inhibit_on_failure
        notify_down /bin/true
        TCP_CHECK {
            connect_timeout 3
            connect_port 8080
            bindto 10.99.0.1
            retry 2
        }
    }
    real_server 198.51.100.2 80 {
        weight 1
        HTTP_GET {
            url {
                path /
                status_code 200-299 404
                regex "^ok"
            }
            http_protocol 1.1
        }
        SSL_GET {
            enable_sni
            url {
                path /deep
                digest 9b3a0c85a887a256d6939da88aabd8cd
            }
        }
        SMTP_CHECK {
            helo_name director
        }
        MISC_CHECK {
            misc_path "/bin/true a b"
            misc_timeout 5
            misc_dynamic
        }
        FILE_CHECK {
            track_file load
        }
        BFD_CHECK {
            name peer
        }
    }
}
virtual_server group WEB {
    lvs_sched rr
    lvs_method DR
    protocol UDP
    ops
    real_server 198.51.100.3 80 {
        DNS_CHECK {
            type A
            name example.org
        }
        UDP_CHECK {
            payload 0102
            require_reply 01xx
            min_reply_length 1
            max_reply_length 100
        }
        PING_CHECK {
            warmup 2
        }
    }
}
`;

export interface Mutation {
  what: string;
  /** First occurrence of this … */
  from: string;
  /** … becomes that. */
  to: string;
  /** Why Sluice's verdict is not keepalived's. */
  differs?: string | undefined;
}

const row = (what: string, from: string, to: string, differs?: string): Mutation => ({
  what,
  from,
  to,
  differs,
});

export const MUTATIONS: Mutation[] = [
  // Braces, quotes, lines.
  row('nothing changed', 'router_id LVS_1', 'router_id LVS_1'),
  row('a brace on the next line', 'track_file load {', 'track_file load\n{'),
  row('a brace at the end of a word', 'vrrp_instance VI_1 {', 'vrrp_instance VI_1{'),
  row('a block on one line', 'PING_CHECK {\n            warmup 2\n', 'PING_CHECK { warmup 2\n'),
  row('a block closed on its last line', 'warmup 2\n        }', 'warmup 2 }'),
  row('two statements on a line', 'rise 2\n    fall 3', 'rise 2 } bogus {\n    fall 3'),
  row(
    'a closing brace less at the end',
    'warmup 2\n        }\n    }\n}\n',
    'warmup 2\n        }\n    }\n',
  ),
  row('a closing brace less inside', 'retry 2\n        }\n', 'retry 2\n'),
  row('a closing brace more', 'weight 1\n}', 'weight 1\n}\n}'),
  row(
    'a closing brace more inside',
    'misc_dynamic\n        }',
    'misc_dynamic\n        }\n        }',
  ),
  row('an opening brace less', 'track_file load {', 'track_file load'),
  row(
    'an opening brace less inside',
    'url {\n                path /\n',
    'url\n                path /\n',
  ),
  row('an opening brace more', 'rise 2', 'rise 2 {'),
  row('a brace alone', 'rise 2', '{'),
  row('a quote that stays open', '"/bin/true master"', '"/bin/true master'),
  row('a quote in the middle', 'auth_pass 1111', 'auth_pass 11"11'),
  row('an escaped quote in a script', '"/bin/true up"', '"/bin/true \\"up\\""'),
  row('an escaped quote elsewhere', 'router_id LVS_1', 'router_id LVS\\"1'),
  row('a comment after a word', 'lvs_sched wrr', 'lvs_sched wrr# weighted'),
  row('a comment by exclamation', 'lvs_sched wrr', 'lvs_sched wrr ! weighted'),
  row('a comment sign in quotes', 'router_id LVS_1', 'router_id "LVS#1"'),
  row('Windows line ends', 'router_id LVS_1\n', 'router_id LVS_1\r\n'),
  row('tabs', '    router_id LVS_1', '\t\trouter_id\tLVS_1'),
  row('empty quotes', 'router_id LVS_1', 'router_id ""', 'an empty name is no name'),
  row('words in quotes', 'lvs_sched wrr', 'lvs_sched "wrr"'),
  row('words in single quotes', 'lvs_method NAT', "lvs_method 'NAT'"),
  // Keywords.
  row('an unknown keyword at the top', 'track_file load {', 'trakc_file load {'),
  row('an unknown keyword in global_defs', 'router_id', 'ruoter_id'),
  row('an unknown keyword in virtual_server', 'delay_loop 6', 'delayloop 6'),
  row('an unknown keyword in real_server', 'uthreshold', 'upper_threshold'),
  row('an unknown keyword in a checker', 'connect_port 8080', 'port 8080'),
  row('an unknown keyword in url', 'status_code', 'statuscode'),
  row('an unknown checker', 'PING_CHECK', 'ICMP_CHECK'),
  row('an unknown keyword in vrrp_instance', 'advert_int', 'advertint'),
  row('an unknown keyword in vrrp_script', 'rise 2', 'raise 2'),
  row('a keyword in the wrong block', 'advert_int 1', 'lvs_sched rr'),
  row('a checker outside real_server', '    alpha\n', '    TCP_CHECK {\n    }\n'),
  row('upper case', 'real_server 198.51.100.1', 'Real_Server 198.51.100.1'),
  row('the old name lb_algo', 'lvs_sched wrr', 'lb_algo wrr'),
  row('the old name lb_kind', 'lvs_method NAT', 'lb_kind NAT'),
  row('a checker of another kind’s option', 'misc_dynamic', 'helo_name x'),
  // Services.
  row('a bad virtual address', '203.0.113.1 80', '203.0.113.300 80'),
  row('a short virtual address', '203.0.113.1 80', '203.0.113 80'),
  row('a virtual port too high', '203.0.113.1 80', '203.0.113.1 65536'),
  row('a virtual port by name', '203.0.113.1 80', '203.0.113.1 http'),
  row('a negative virtual port', '203.0.113.1 80', '203.0.113.1 -1'),
  row('no virtual port, but persistent', '203.0.113.1 80', '203.0.113.1'),
  row('no virtual port, not persistent', '    persistence_timeout 50\n', '', undefined),
  row('no address', 'virtual_server 203.0.113.1 80', 'virtual_server'),
  row(
    'a group that is not there',
    'virtual_server group WEB',
    'virtual_server group WEBB',
    'keepalived looks for it only when it starts',
  ),
  row('a fwmark service', 'virtual_server group WEB', 'virtual_server fwmark 3'),
  row('a fwmark by name', 'virtual_server group WEB', 'virtual_server fwmark web'),
  row('an unknown scheduler', 'lvs_sched wrr', 'lvs_sched wwr'),
  row('a scheduler in capitals', 'lvs_sched wrr', 'lvs_sched WRR'),
  row('no scheduler', '    lvs_sched wrr\n', ''),
  row('no scheduler word', 'lvs_sched wrr', 'lvs_sched'),
  row('another scheduler', 'lvs_sched wrr', 'lvs_sched lblcr'),
  row('an unknown method', 'lvs_method NAT', 'lvs_method MASQ'),
  row('a method in lower case', 'lvs_method NAT', 'lvs_method nat'),
  row('no method', '    lvs_method NAT\n', ''),
  row('DPVS’s full NAT', 'lvs_method NAT', 'lvs_method FNAT', 'a method of DPVS and Sluice'),
  row('a tunnel', 'lvs_method NAT', 'lvs_method TUN'),
  row('a GUE tunnel', 'lvs_method NAT', 'lvs_method TUN type gue port 6080'),
  row('a GUE tunnel without port', 'lvs_method NAT', 'lvs_method TUN type gue'),
  row('a GRE tunnel with port', 'lvs_method NAT', 'lvs_method TUN type gre port 5'),
  row('an unknown tunnel', 'lvs_method NAT', 'lvs_method TUN type vxlan'),
  row('a tunnel option for NAT', 'lvs_method NAT', 'lvs_method NAT csum'),
  row('an unknown protocol', 'protocol TCP', 'protocol QUIC'),
  row('a protocol in lower case', 'protocol TCP', 'protocol tcp', undefined),
  row('no protocol', '    protocol TCP\n', ''),
  row('SCTP', 'protocol TCP', 'protocol SCTP'),
  row('one-packet scheduling with TCP', '    alpha\n', '    ops\n'),
  row('a bad delay_loop', 'delay_loop 6', 'delay_loop six'),
  row('a delay_loop of 0', 'delay_loop 6', 'delay_loop 0'),
  row('a fraction of a second', 'delay_loop 6', 'delay_loop 0.5'),
  row('two points in a number', 'delay_loop 6', 'delay_loop 6.5.1'),
  row('an exponent', 'delay_loop 6', 'delay_loop 1e3'),
  row(
    'two words for one',
    'delay_loop 6',
    'delay_loop 6 7',
    'words too many are told, not dropped',
  ),
  row(
    'two statements on one line',
    'quorum 2\n',
    'quorum 2 ',
    'words too many are told, not dropped',
  ),
  row('a persistence of 0', 'persistence_timeout 50', 'persistence_timeout 0'),
  row('a persistence too long', 'persistence_timeout 50', 'persistence_timeout 2678401'),
  row('a persistence without time', 'persistence_timeout 50', 'persistence_timeout'),
  row('a bad granularity', '255.255.255.0', '255.255.255'),
  row('a bad quorum', 'quorum 2', 'quorum 0'),
  row('a bad hysteresis', 'hysteresis 1', 'hysteresis -1'),
  row('two quorum_up', 'quorum_up "/bin/true up"', 'quorum_up /bin/true\n quorum_up /bin/false'),
  row('a bad sorry server', '198.51.100.99 80', '198.51.100.999 80'),
  row('no sorry server to inhibit', '    sorry_server 198.51.100.99 80\n', ''),
  row('a bad retry', 'retry 3', 'retry -3'),
  row('a retry of 0', 'retry 3', 'retry 0'),
  row('a bad warmup', 'warmup 1', 'warmup soon'),
  row('a bad connect_timeout', 'connect_timeout 4', 'connect_timeout 0'),
  row(
    'alpha with a value',
    '    alpha\n',
    '    alpha maybe\n',
    'words too many are told, not dropped',
  ),
  row('a virtualhost without name', 'virtualhost www.example.org', 'virtualhost'),
  // Servers.
  row('a bad server address', '198.51.100.1 80 {', '198.51.100.x 80 {'),
  row('a bad server port', '198.51.100.1 80 {', '198.51.100.1 80x {'),
  row('a server without port', '198.51.100.1 80 {', '198.51.100.1 {'),
  row('a server without address', 'real_server 198.51.100.1 80', 'real_server'),
  row('a server twice', 'real_server 198.51.100.2', 'real_server 198.51.100.1'),
  row(
    'no server at all',
    'real_server 198.51.100.3 80 {',
    'sorry_server 198.51.100.3 80\n bogus {',
  ),
  row('a weight of 0', 'weight 3', 'weight 0'),
  row('a negative weight', 'weight 3', 'weight -1'),
  row('a weight by name', 'weight 3', 'weight heavy'),
  row('a weight of 2³¹', 'weight 3', 'weight 2147483648'),
  row('a weight of 70000', 'weight 3', 'weight 70000'),
  row('a fraction of a weight', 'weight 3', 'weight 1.5'),
  row('no weight', 'weight 3', 'weight'),
  row('a bad threshold', 'uthreshold 1000', 'uthreshold many'),
  row('a bad inhibit_on_failure', 'inhibit_on_failure', 'inhibit_on_failure maybe'),
  row('inhibit_on_failure off', 'inhibit_on_failure', 'inhibit_on_failure off'),
  row('an empty notify_down', 'notify_down /bin/true', 'notify_down'),
  row('two notify_down', 'notify_down /bin/true', 'notify_down /bin/true\n notify_down /bin/false'),
  // Checkers.
  row('a bad connect_port', 'connect_port 8080', 'connect_port 99999'),
  row('a bad connect_ip', 'connect_port 8080', 'connect_ip 10.0.0'),
  row('a bad bindto', 'bindto 10.99.0.1', 'bindto eth0'),
  row('a bad fwmark', 'connect_port 8080', 'fwmark -1'),
  row('a retry of 0 in a checker', 'retry 2', 'retry 0'),
  row('a checker without block', 'PING_CHECK {\n            warmup 2\n        }', 'PING_CHECK'),
  row(
    'no url',
    'url {\n                path /deep\n                digest 9b3a0c85a887a256d6939da88aabd8cd\n            }',
    '',
  ),
  row('no path', '                path /deep\n', ''),
  row('a bad status', '200-299 404', '200-299 4o4'),
  row('a status range backwards', '200-299', '299-200'),
  row('a status too high', '404', '604'),
  row('a short digest', '9b3a0c85a887a256d6939da88aabd8cd', '9b3a0c85'),
  row('a bad regular expression', '"^ok"', '"(ok"'),
  row('a bad http_protocol', 'http_protocol 1.1', 'http_protocol 2.0'),
  row('a bad enable_sni', 'enable_sni', 'enable_sni maybe'),
  row('no helo name', 'helo_name director', 'helo_name'),
  row('no misc_path', '            misc_path "/bin/true a b"\n', ''),
  row('a bad misc_timeout', 'misc_timeout 5', 'misc_timeout soon'),
  row('a track file that is not there', 'track_file load\n', 'track_file lod\n'),
  row('no track file', '            track_file load\n', ''),
  row('a BFD session that is not there', 'name peer', 'name pear'),
  row('no BFD session', '            name peer\n', ''),
  row('a bad DNS type', 'type A', 'type ANY'),
  row('an empty label', 'name example.org', 'name example..org'),
  row('a bad payload', 'payload 0102', 'payload hello'),
  row('a bad reply', 'require_reply 01xx', 'require_reply 01zz'),
  row('a bad length', 'max_reply_length 100', 'max_reply_length 65536'),
  // Groups.
  row('a bad range', '203.0.113.20-29', '203.0.113.20-300'),
  row('a range backwards', '203.0.113.20-29', '203.0.113.20-10'),
  row('a network', '203.0.113.20-29', '203.0.113.16/29'),
  row('a bad network', '203.0.113.20-29', '203.0.113.16/33'),
  row('a bad fwmark in a group', '    203.0.113.10 80\n', '    fwmark seven\n'),
  row('a name for an address', '203.0.113.10 80', 'www.example.org 80'),
  row('a bad port in a group', '203.0.113.10 80', '203.0.113.10 eighty'),
  row('a network with bits behind its mask', '203.0.113.20-29', '203.0.113.17/29'),
  row('a range of one', '203.0.113.20-29', '203.0.113.20-20'),
  row('a range from an address to itself', '203.0.113.20-29', '203.0.113.20-203.0.113.20'),
  ...['2001:db8::fe-101', '2001:db8::1-2001:db8::4', '2001:db8::ff00/120', '2001:db8::4/128'].map(
    (member) => row(`IPv6: ${member}`, '203.0.113.20-29', member),
  ),
  ...[
    ...['2001:db8::1-1ffff', '2001:db8::10-4', '2001:db8::4-4', '2001:db8::1-', '2001:db8::1-xyz'],
    ...['2001:db8::1/126', '2001:db8::/0', '2001:db8::/129', '2001:db8::1-192.0.2.1'],
    ...['192.0.2.1-2001:db8::1', '2001:db8::1/64-5'],
  ].map((member) => row(`IPv6, wrong: ${member}`, '203.0.113.20-29', member)),
  // VRRP.
  row('a bad state', 'state BACKUP', 'state SLAVE'),
  row('a router id too high', 'virtual_router_id 51', 'virtual_router_id 256'),
  row('a router id of 0', 'virtual_router_id 51', 'virtual_router_id 0'),
  row('no router id', '    virtual_router_id 51\n', ''),
  row('a priority too high', 'priority 100', 'priority 256'),
  row('a priority of 0', 'priority 100', 'priority 0'),
  row('a bad interval', 'advert_int 1', 'advert_int 0'),
  row('a bad preempt delay', 'preempt_delay 5', 'preempt_delay 1001'),
  row('a bad authentication', 'auth_type PASS', 'auth_type MD5'),
  row('AH', 'auth_type PASS', 'auth_type AH'),
  row('no password', '        auth_pass 1111\n', ''),
  row('a bad virtual address in VRRP', '192.0.2.80/24', '192.0.2.800/24'),
  row('a bad prefix', '192.0.2.80/24', '192.0.2.80/33'),
  row('an unknown address option', 'label eth0:1', 'lable eth0:1'),
  row('a script that is not there', 'check_proxy weight 10', 'check_prxy weight 10'),
  row('a weight too high for a script', 'check_proxy weight 10', 'check_proxy weight 300'),
  row('a weight too high for an interface', 'eth1 weight 5', 'eth1 weight 300'),
  row('a bad unicast peer', '        10.99.0.2\n', '        10.99.0\n'),
  row(
    'an unknown route option',
    '198.51.100.0/24 via 10.99.0.2 dev eth0',
    '198.51.100.0/24 vai 10.99.0.2 dev eth0',
  ),
  row('a bad route', '198.51.100.0/24 via', '198.51.100.0/36 via'),
  row('an unknown rule option', 'table 5 preference', 'tabel 5 preference'),
  row('no preference', ' preference 100', ''),
  row('a group member that is not there', '        VI_2\n', '        VI_9\n'),
  row(
    'a name twice',
    'vrrp_sync_group G1 {',
    'vrrp_instance VI_1 {\n interface eth1\n virtual_router_id 9\n}\nvrrp_sync_group G1 {',
  ),
  row('state MASTER without preemption', 'state BACKUP', 'state MASTER\n    nopreempt'),
  row('state MASTER with a delay', 'state BACKUP', 'state MASTER'),
  row('a delay of what does not happen', 'priority 100', 'nopreempt'),
  row(
    'the owner without preemption',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    priority 255\n    nopreempt',
  ),
  row(
    'the owner by its state',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    state MASTER\n    nopreempt',
  ),
  row('the owner with weights', 'priority 100', 'priority 255'),
  row(
    'an owner and another in a group',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    priority 255',
  ),
  row('a fraction in version 2', 'advert_int 1', 'advert_int 1.5'),
  row(
    'a fraction in version 3',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    version 3\n    advert_int 0.25',
  ),
  row(
    'a thousandth in version 3',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    version 3\n    advert_int 0.125',
  ),
  row(
    'an interval too long for version 3',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    version 3\n    advert_int 41',
  ),
  row('a password in version 3', 'priority 100', 'version 3'),
  row('a long password', 'auth_pass 1111', 'auth_pass 123456789'),
  row(
    'no address at all',
    '    virtual_ipaddress {\n        192.0.2.81\n    }\n',
    '',
    'told when mapped',
  ),
  row(
    'an address of another family',
    '        192.0.2.81\n',
    '        192.0.2.81\n        2001:db8::1\n',
  ),
  row(
    'an excluded one of another family',
    '        192.0.2.81\n    }\n',
    '        192.0.2.81\n    }\n    virtual_ipaddress_excluded {\n        2001:db8::1\n    }\n',
  ),
  row(
    'an address of another interface',
    '        192.0.2.81\n',
    '        192.0.2.81 dev eth3 scope link\n',
  ),
  row('a virtual MAC', 'priority 100', 'use_vmac vrrp.51\n    vmac_xmit_base\n    priority 100'),
  row('a virtual MAC and unicast', 'priority 100', 'use_vmac\n    priority 100'),
  row(
    'adverts of a virtual MAC that is not there',
    'priority 100',
    'vmac_xmit_base\n    priority 100',
  ),
  row(
    'a unicast address without peers',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    unicast_src_ip 10.99.2.1\n    virtual_router_id 52',
  ),
  row(
    'a weight in a group',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    track_script {\n        check_proxy\n    }',
  ),
  row(
    'a script without weight in a group',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    track_script {\n        check_proxy weight 0\n    }',
  ),
  row(
    'its own interface tracked',
    'interface eth2\n    virtual_router_id 52',
    'interface eth2\n    virtual_router_id 52\n    track_interface {\n        eth2\n    }',
  ),
  row('a group of one', '        VI_3\n', ''),
  row(
    'an instance in two groups',
    'notify_fault /bin/true\n}',
    'notify_fault /bin/true\n}\nvrrp_sync_group G2 {\n    group {\n        VI_3\n        VI_1\n    }\n}',
  ),
  row(
    'weights of a group',
    'notify_fault /bin/true',
    'sync_group_tracking_weight\n    track_interface {\n        eth1 weight 10\n    }',
  ),
  row('down_timer_adverts', 'priority 100', 'down_timer_adverts 2\n    priority 100'),
  row('too many adverts', 'priority 100', 'down_timer_adverts 101\n    priority 100'),
  row('strict mode with a password', 'router_id LVS_1', 'vrrp_strict'),
  row('a router id twice', 'virtual_router_id 53', 'virtual_router_id 52', 'told when mapped'),
  row('a bad debug level', 'priority 100', 'debug 5\n    priority 100'),
  row('a bad TTL', 'priority 100', 'unicast_ttl 300\n    priority 100'),
  ...[
    '224.0.0.99',
    '239.1.2.3',
    '10.1.1.1',
    'ff02::5',
    'all',
    '224.0.0.300',
    '',
    '224.0.0.9 x',
  ].map((to) =>
    row(
      `vrrp_mcast_group4 ${to}`,
      'router_id LVS_1',
      `vrrp_mcast_group4 ${to}`,
      to.includes(' ') ? 'words too many' : undefined,
    ),
  ),
  ...['ff02::5', 'ff12::1', 'ff05::5', '2001:db8::1', '224.0.0.5', 'all'].map((to) =>
    row(`vrrp_mcast_group6 ${to}`, 'router_id LVS_1', `vrrp_mcast_group6 ${to}`),
  ),
  ...['224.0.0.99', '239.1.2.3', '10.1.1.1', 'all', ''].map((to) =>
    row(
      `mcast_dst_ip ${to}`,
      'virtual_router_id 52',
      `virtual_router_id 52\n    mcast_dst_ip ${to}`,
    ),
  ),
  ...['ff02::5', 'ff05::5', '2001:db8::1'].map((to) =>
    row(
      `mcast_dst_ip ${to}`,
      'virtual_router_id 52\n    virtual_ipaddress {\n        192.0.2.81',
      `virtual_router_id 52\n    mcast_dst_ip ${to}\n    virtual_ipaddress {\n        2001:db8::81`,
    ),
  ),
  row(
    'mcast_dst_ip of another family',
    'virtual_router_id 52',
    'virtual_router_id 52\n    mcast_dst_ip ff02::5',
    'told when mapped',
  ),
  row('mcast_dst_ip and unicast', 'priority 100', 'mcast_dst_ip 224.0.0.99\n    priority 100'),
  row('mcast_src_ip', 'virtual_router_id 52', 'virtual_router_id 52\n    mcast_src_ip 10.99.2.9'),
  row('a FIFO', 'router_id LVS_1', 'vrrp_notify_fifo /tmp/sluice.fifo'),
  row(
    'a process',
    'vrrp_instance VI_1 {',
    'vrrp_track_process haproxy {\n    process haproxy\n    weight 10\n    quorum 2\n    delay 1.5\n}\nvrrp_instance VI_1 {',
  ),
  row(
    'a process with a bad quorum',
    'vrrp_instance VI_1 {',
    'vrrp_track_process haproxy {\n    process haproxy\n    quorum 0\n}\nvrrp_instance VI_1 {',
  ),
  row('a bad script interval', 'interval 2', 'interval 0'),
  row('a bad script weight', 'weight -20', 'weight -300'),
  row('a bad rise', 'rise 2', 'rise 0'),
  row('no script', '    script "/bin/true"\n', ''),
  row('no neighbour', '    neighbor_ip 10.99.0.9\n', ''),
  row('a bad neighbour', '10.99.0.9', '10.99.0'),
  // global_defs.
  row('a bad smtp timeout', 'smtp_connect_timeout 30', 'smtp_connect_timeout soon'),
  row('a bad VRRP version', 'vrrp_version 2', 'vrrp_version 4'),
  row('a bad garp delay', 'vrrp_garp_master_delay 10', 'vrrp_garp_master_delay -1'),
  row('a bad timeout', 'tcp 900', 'tcp long'),
  row('an unknown timeout', 'tcpfin 120', 'tcpsyn 120'),
  row('no timeout', 'lvs_timeouts tcp 900 tcpfin 120 udp 300', 'lvs_timeouts'),
  row('a bad boolean', 'checker_log_all_failures on', 'checker_log_all_failures 1'),
  row('a bad priority of a process', 'vrrp_priority -10', 'vrrp_priority -30'),
  row('a bad auto priority', 'max_auto_priority 20', 'max_auto_priority 200'),
  // Definitions.
  row('a definition used', 'lvs_sched wrr', '$ALGO=wrr\n    lvs_sched $ALGO'),
  row('a definition that is not there', 'lvs_sched wrr', 'lvs_sched $ALGO'),
  row('a definition with a blank', 'lvs_sched wrr', '$ALGO = wrr\n    lvs_sched rr'),
  row('a condition that holds', 'lvs_sched wrr', '@sluice lvs_sched wrr'),
  row('a condition that does not hold', 'delay_loop 6', '@other delay_lop 6'),
  row('a condition the other way', 'delay_loop 6', '@^other delay_lop 6'),
  row('a sequence', '    203.0.113.10 80\n', '    ~SEQ(LAST, 40, 45) 203.0.113.${LAST} 80\n'),
  row('a bad sequence', '    203.0.113.10 80\n', '    ~SEQ(LAST, a, b) 203.0.113.${LAST} 80\n'),
  row(
    'a list',
    '    203.0.113.10 80\n',
    '    ~LST({A, B}, {40, 80}, {41, 81}) 203.0.113.${A} ${B}\n',
  ),
  row('a bad list', '    203.0.113.10 80\n', '    ~LST({A, B}, {40}) 203.0.113.${A} ${B}\n'),
  row(
    'an include that is not there',
    'track_file load {',
    'include /nonexistent/file\ntrack_file load {',
  ),
  // Addresses, routes and rules of the kernel.
  ...KERNEL_LINES,
];
