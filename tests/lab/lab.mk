# The lab's targets, for the top Makefile. LAB_* in the environment or on make's command line select the lab;
# inventories/lab/hosts.py has the defaults.

# What was given on the command line, for the commands that are printed: they need the same.
LAB_GIVEN = $(strip $(foreach each,LAB_NAME LAB_RELEASE LAB_PROFILE LAB_COMPUTES LAB_SUBNET LAB_DIR,$(if $($(each)),$(each)=$($(each)))))
LAB_PLAY = $(BIN)/ansible-playbook --inventory inventories/lab

##@ The lab (LAB_NAME= LAB_RELEASE=bookworm|trixie LAB_PROFILE=full|rabbitmq|data|cloud|fleet LAB_COMPUTES= LAB_SUBNET= LAB_DIR=)

.PHONY: lab-up
lab-up: lab-image venv ## Start the lab, or repair what is stopped or broken in it
	@$(LAB_PLAY) playbooks/lab/up.yml
	@echo 'The lab is up. next:'
	@echo '  . .venv/bin/activate; $(if $(LAB_GIVEN),$(LAB_GIVEN) )holdfast check --site lab'
	@echo '  make lab-ssh HOST=ctl1$(if $(LAB_GIVEN), $(LAB_GIVEN)) logs in; make lab-down$(if $(LAB_GIVEN), $(LAB_GIVEN)) removes it'

.PHONY: lab-down
lab-down: venv ## Remove the lab; the image stays for the next
	@$(LAB_PLAY) playbooks/lab/down.yml

.PHONY: fleet-up
fleet-up: export LAB_PROFILE = fleet
fleet-up: lab-up ## Start a lab of its own with 242 light computes (LAB_COMPUTES=); what is real in it: docs/fleet-lab.md

.PHONY: fleet-down
fleet-down: export LAB_PROFILE = fleet
fleet-down: lab-down ## Remove that lab

.PHONY: puppet-lab
puppet-lab: lab-up ## Give the lab (Debian 12) a puppetserver and agents; VALUE=1802 changes their class: docs/puppet.md
	@tests/lab/puppet/up $(VALUE)

.PHONY: kolla-lab
kolla-lab: lab-up ## Move the lab's brokers and nova into containers of podman, with kolla-ansible's units and inventory (KOLLA_TLS=yes: over TLS): docs/sites/kolla.md
	@tests/lab/kolla/up

.PHONY: osa-lab
osa-lab: lab-up ## Give the lab the inventory, TLS, virtual host, journals and units of OpenStack-Ansible on metal: docs/sites/openstack-ansible.md
	@tests/lab/osa/up

.PHONY: lab-status
lab-status: ## Show what runs in the lab
	@tests/lab/status

.PHONY: lab-ssh
lab-ssh: ## Log in to a host of the lab: make lab-ssh HOST=ctl1
	@tests/lab/ssh "$(HOST)"

.PHONY: lab-image
lab-image: prerequisites ## Build the image of LAB_RELEASE, unless this machine has it
	@tests/lab/image/build "$${LAB_RELEASE:-bookworm}" >/dev/null

.PHONY: lab-clean
lab-clean: lab-down ## Remove the lab and the images of all labs
	@tests/lab/image/remove
