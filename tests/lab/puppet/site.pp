# The same kind of change as on 2015-08-12: an option of nova.conf, and nova-compute is notified.
node default {
  if $facts['networking']['hostname'] =~ /^cmp/ {
    class { 'lab_nova_compute': long_rpc_timeout => @SECONDS@ }
  }
}

class lab_nova_compute (Integer $long_rpc_timeout) {
  $line = "long_rpc_timeout = ${long_rpc_timeout}"
  exec { 'nova.conf: long_rpc_timeout':
    path    => ['/usr/bin', '/bin'],
    command => "sed -i '/^long_rpc_timeout/d; s/^\\[DEFAULT\\]/&\\n${line}/' /etc/nova/nova.conf",
    unless  => "grep -qx '${line}' /etc/nova/nova.conf",
    notify  => Service['nova-compute'],
  }
  file { '/etc/motd':
    content => "long_rpc_timeout ${long_rpc_timeout}\n",
  }
  service { 'nova-compute':
    ensure => running,
    enable => true,
  }
}
