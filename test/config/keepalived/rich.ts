/** A keepalived.conf with everything that director.yaml can say, too. */
export const RICH = `
global_defs {
    lvs_timeouts tcp 600 udp 30
    script_user nobody nogroup
    checker_log_all_failures
    vrrp_startup_delay 3.5
    vrrp_mcast_group4 224.0.0.99
    default_interface slfront
    vrrp_notify_fifo /run/vrrp.fifo
    vrrp_garp_master_refresh 60
}
track_file load {
    file /run/load
    weight 2 reverse
}
bfd_instance b1 {
    neighbor_ip 198.51.100.11
}
SSL {
    ca /etc/ssl/ca.pem
    certificate /etc/ssl/one.pem
}
static_ipaddress {
    192.0.2.50/24
    192.0.2.51/32 dev bond0
}
static_routes {
    198.18.7.0/24 dev bond0
}
static_rules {
    iif slback goto 900 preference 800
}
local_address_group locals {
    198.51.100.200-201 dpdk1
    198.51.100.208/30
}
virtual_server_group G {
    203.0.113.20-21 53
    203.0.113.30 5353
}
vrrp_script chk {
    script "/bin/check one"
    interval 2
    timeout 1
    weight -20 reverse
    rise 2
    fall 3
    user daemon
    init_fail
}
vrrp_track_process proxy {
    process /usr/sbin/haproxy -W
    weight 10
    quorum 2
    quorum_max 4
    terminate_delay 1.5
}
vrrp_instance VI_1 {
    state BACKUP
    interface front
    virtual_router_id 51
    priority 150
    advert_int 2
    preempt_delay 5
    authentication {
        auth_type AH
        auth_pass s3cret
    }
    virtual_ipaddress {
        203.0.113.10/24 dev front label front:1
        192.0.2.100
    }
    virtual_ipaddress_excluded {
        203.0.113.20
    }
    track_interface {
        back weight 5
        bond0
    }
    track_script {
        chk weight 30
    }
    track_file {
        load weight 3
    }
    track_process {
        proxy
    }
    garp_master_delay 10
    garp_master_repeat 2
    garp_lower_prio_repeat 1
    virtual_routes {
        198.18.5.0/24 via 192.0.2.9 dev front metric 5
        unreachable 198.18.6.0/24 no_track
    }
    virtual_rules {
        from 203.0.113.0/24 table 5 preference 100
    }
    notify_master "/bin/tell master" root
    notify /bin/tell
}
vrrp_instance VI_2 {
    interface slback
    virtual_router_id 52
    version 3
    advert_int 0.1
    nopreempt
    use_vmac
    vmac_xmit_base
    unicast_src_ip 198.51.100.1
    unicast_peer {
        198.51.100.2
    }
    virtual_ipaddress {
        198.51.100.200
    }
    down_timer_adverts 2
    dont_track_primary
    skip_check_adv_addr
    notify_fault /bin/tell
}
vrrp_sync_group both {
    sync_group_tracking_weight
    group {
        VI_1
        VI_2
    }
    track_bfd {
        b1
    }
    notify_stop /bin/tell
}
virtual_server 203.0.113.10 80 {
    lb_algo mh
    mh-port
    flag-1
    lb_kind FNAT
    protocol tcp
    laddr_group_name locals
    delay_loop 6
    retry 2
    delay_before_retry 1.5
    warmup 0
    connect_timeout 4
    alpha
    omega
    inhibit_on_failure
    virtualhost www.example.org
    quorum 3
    hysteresis 1
    quorum_up "/bin/announce '203.0.113.10 80' up"
    quorum_down /bin/withdraw root
    sorry_server 198.51.100.99 8080
    sorry_server_inhibit
    sorry_server_lvs_method NAT
    real_server 198.51.100.11 8080 {
        weight 3
        uthreshold 100
        lthreshold 90
        inhibit_on_failure no
        notify_down "/bin/page \\x41"
        TCP_CHECK {
            connect_ip 198.51.100.9
            connect_port 81
            bindto 198.51.100.1
            bind_port 1000
            bind_if eth1
            fwmark 5
            connect_timeout 1
            nb_get_retry 0
            log_all_failures off
        }
        SSL_GET {
            enable_sni
            fast_recovery
            url {
                path /a
                status_code 200-299 404
                regex "^o\\\\.k"
                regex_options caseless multiline
                regex_no_match
                regex_min_offset 1
                regex_max_offset 100
            }
            url {
                path /b
                virtualhost b.example.org
                digest 9b3a0c85a887a256d6939da88aabd8cd
            }
        }
        SMTP_CHECK {
            helo_name director
            host {
                connect_port 26
            }
        }
        DNS_CHECK {
            type A
            name example.org
        }
        UDP_CHECK {
            payload Ab12f 3
            require_reply 01xX
            max_reply_length 100
        }
        PING_CHECK {
        }
        MISC_CHECK {
            misc_path "/bin/check one"
            misc_timeout 5
            misc_dynamic
            user daemon
        }
        FILE_CHECK {
            track_file load
            dynamic
        }
        BFD_CHECK {
            name b1
        }
    }
    real_server 198.51.100.12 8080 {
        lvs_method DR
    }
}
virtual_server group G {
    lvs_sched wrr
    lvs_method TUN
    protocol UDP
    ops
    real_server 198.51.100.12 {
    }
}
`;
